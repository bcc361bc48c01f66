"""What a run costs, by what a few of its steps showed."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Measured:
    """What a few steps showed; sizes in bytes. `peak_memory` is that of the GPU, on a CPU that of the process.

    `modules` are lines on the model's modules.
    """

    steps: int
    seconds: float
    tokens: int
    validation_examples: int
    validation_seconds: float
    parameters: int
    trained_parameters: int
    weights: int
    gradients: int
    optimizer: int
    peak_memory: int
    device: str
    modules: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cost:
    """What a run will take, in seconds and bytes: `disk` when it has ended, `most_disk` while it saves."""

    training_seconds: float
    validation_seconds: float
    validations: int
    checkpoint: int
    disk: int
    most_disk: int

    @property
    def seconds(self) -> float:
        return self.training_seconds + self.validation_seconds


def cost_of(
    measured: Measured,
    *,
    total_steps: int,
    tokens_per_step: float,
    validation_interval: int,
    validation_examples: int,
) -> Cost:
    """The cost of a run of `total_steps` steps, each of `tokens_per_step` tokens on average.

    Time is taken to be proportional to tokens, and to examples in a validation.
    """
    # Before the first step, at every interval, and after the last step.
    validations = 1 + -(-total_steps // validation_interval)
    validated = validations * validation_examples / measured.validation_examples
    checkpoint = measured.weights + measured.optimizer
    disk = 2 * checkpoint + 2 * measured.weights  # last.ckpt and previous.ckpt; best.ckpt and model/
    return Cost(
        training_seconds=total_steps * tokens_per_step * measured.seconds / measured.tokens,
        validation_seconds=validated * measured.validation_seconds,
        validations=validations,
        checkpoint=checkpoint,
        disk=disk,
        most_disk=disk + checkpoint,  # written beside the two that are there
    )
