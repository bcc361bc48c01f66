import pytest

from tests.infilling.web.serving import running, service_of, three_models


@pytest.fixture(scope="module")
def infillers():
    return three_models()


@pytest.fixture(scope="module")
def server(infillers):
    with running(service_of(infillers)) as found:
        yield found
