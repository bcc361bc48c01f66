"""C1: nominalisation, hedging, inversion, layered subordination, collocations; essays, proposals, reviews."""

from ilm.corpus.synthetic.grammar import parse_grammar
from ilm.corpus.synthetic.lexicon import BASE

GRAMMAR = parse_grammar(
    r"""
~ hedge: arguably | to some extent | by and large | in all likelihood | presumably | at least in part | more
  often than not | conceivably
~ link: That being said, | By the same token, | Be that as it may, | Even so, | Conversely, | In much the same
  vein, | To complicate matters further, | On closer inspection, however,
~ concede: Granted, | Admittedly, | It would be naive to deny that | It has to be conceded that | One might
  object, of course, that | It goes without saying that | There is no denying that
~ claim: It could be argued that | There is every reason to believe that | It is hard to escape the conclusion
  that | I am inclined to think that | What is beyond dispute is that | The evidence seems to suggest that |
  It stands to reason that
~ matter(name, rise, gain, gain_b, cost, cost_b, remedy): automation / the rapid spread of automation / a
  considerable increase in productivity / the liberation of workers from soul-destroying tasks / the erosion
  of entire professions / a widening gap between the highly skilled and everyone else / a fundamental overhaul
  of vocational training | globalisation / the seemingly unstoppable march of globalisation / access to goods
  and ideas from every corner of the world / a steady decline in extreme poverty / the gradual disappearance
  of local traditions / a race to the bottom in labour standards / binding international agreements | remote
  work / the sudden acceptance of remote work / a better balance between professional and private commitments
  / a reduction in commuting and its environmental footprint / a growing sense of isolation / the blurring of
  boundaries between office and home / the deliberate cultivation of a shared company culture | the sharing
  economy / the meteoric rise of the sharing economy / a more efficient use of existing resources / the
  emergence of flexible sources of income / the systematic circumvention of labour law / the transformation of
  residential areas into tourist enclaves / a legal framework that keeps pace with innovation | genetic
  engineering / the breathtaking progress of genetic engineering / the prospect of eradicating hereditary
  diseases / the development of drought-resistant crops / the commodification of human life / unforeseeable
  consequences for future generations / an open-ended public debate before irreversible steps are taken |
  digital surveillance / the creeping expansion of digital surveillance / a perceived improvement in public
  safety / the swift identification of suspects / the slow strangulation of privacy / a chilling effect on the
  freedom of expression / independent oversight with genuine powers | urbanisation / the relentless growth of
  our cities / the concentration of talent and creativity / a smaller ecological footprint per inhabitant /
  the spread of informal settlements / an ever-increasing strain on infrastructure / a radical rethinking of
  how public space is allocated | renewable energy / the long-awaited shift towards renewable energy /
  independence from volatile oil markets / a marked improvement in air quality / the scarring of cherished
  landscapes / the intermittent nature of wind and sunlight / massive investment in storage technology |
  standardised testing / the growing reliance on standardised testing / a degree of comparability between
  schools / the early detection of learning difficulties / the narrowing of the curriculum / the demotivation
  of those who do not fit the mould / a more nuanced appraisal of what pupils are capable of | space
  exploration / the renewed enthusiasm for space exploration / a wealth of technological spin-offs / a
  broadening of humanity's horizons / a dubious allocation of scarce funds / the accumulation of debris in
  orbit / a fair distribution of costs among nations | the ageing of society / the inexorable ageing of
  society / the accumulated experience of an active older generation / a boost to the care and leisure
  industries / the mounting pressure on pension schemes / a shortage of qualified carers / a gradual and
  flexible transition into retirement | fast fashion / the apparent triumph of fast fashion / the
  democratisation of style / the creation of jobs in developing economies / the exploitation of a largely
  invisible workforce / the staggering amount of textile waste / full transparency along the entire supply
  chain
~ blame(what, why, fix): the delay in the delivery of your order / a breakdown in communication between two of
  our departments / a thorough review of our internal procedures | the overbooking of your flight / a
  regrettable malfunction of our reservation system / an upgrade of the software concerned | the offensive
  remarks made by one of our employees / a lapse of judgement for which there can be no justification / a
  compulsory training programme for all front-line staff | the publication of your personal details / a breach
  of security which came to light only last week / the appointment of an external data protection officer |
  the cancellation of the concert at such short notice / circumstances which were, for the most part, beyond
  our control / a more generous policy on refunds | the inconvenience caused by the building work / an
  unrealistic schedule drawn up without consultation / a binding timetable agreed upon with all residents |
  the errors contained in our last invoice / the introduction of an accounting system that had not been
  properly tested / a second check of every document before it is sent out
~ creature(name, look, lore): the {~cr_adj} {~cr_noun} / a body as long as {num} men and eyes glowing like
  embers / a premonition of storms | the {~cr_adj} {~cr_noun} of {city:b} / the face of a child and the voice
  of an old man / a punishment for greed | the {~cr_noun} of the {~cr_place} / scales shimmering in every
  shade of {colour} / a guardian of forgotten treasure | the {~cr_adj} woman of the {~cr_place} / hair
  trailing in the water like weeds / a warning to unfaithful husbands
~ cr_adj: Weeping | Grey | Headless | Laughing | Sleepless | Hollow | Pale | Whispering
~ cr_noun: Serpent | Hound | Giant | Horseman | Wolf | Raven | Stag
~ cr_place: Black Lake | Northern Marshes | Old Mill | Salt Cliffs | Seven Hills
~ work(title, form, theme, strength, weakness): {~wk_adj} {~wk_noun} / novel / the corrosive effects of guilt
  / an almost unbearable attention to detail / an ending that feels somewhat contrived | The {~wk_noun} of
  {~wk_noun} / documentary / the hypocrisy of the art world / its refusal to take sides / a certain lack of
  focus in the second half | {~wk_noun} without {~wk_noun} / play / the impossibility of coming home /
  dialogue of razor-sharp precision / characters that occasionally verge on caricature | A {~wk_adj}
  {~wk_noun} / film / the loneliness of ambition / a visual language of haunting beauty / a plot that demands
  considerable patience | {~wk_noun}s / exhibition / the fragility of memory / the sheer audacity of its
  concept / accompanying texts that border on the incomprehensible | The {~wk_adj} {~wk_noun} / biography /
  the price of genius / meticulous research worn lightly / a tendency to idealise its subject
~ wk_adj: Silent | Borrowed | Unfinished | Distant | Brittle | Second | Forgotten | Crooked | Weightless
~ wk_noun: Harvest | Shadow | Threshold | Winter | Inheritance | Tide | Silence | Archive | Garden |
  Cartographer | Echo
~ scholar: sociologists | economists | historians | psychologists | legal scholars | educationalists | a
  growing number of experts | most commentators
~ dilemma(case, duty, pull): a colleague who had been falsifying expense reports / loyalty to the team / the
  obligation to report misconduct | a supplier offering lavish gifts before the signing of a contract / the
  interests of the company / the temptation of personal gain | an order to conceal a defect in a product that
  was about to be launched / obedience to a superior / the safety of unsuspecting customers | confidential
  figures left lying on a printer / discretion / sheer curiosity | a job applicant who happened to be the son
  of a major client / impartiality / the prospect of a lucrative deal | a patient who begged me not to inform
  his family / professional secrecy / the suffering of those kept in the dark
~ campaign(product, audience, angle): a range of organic baby food / young parents with little time on their
  hands / the peace of mind that comes with transparency | an electric bicycle / commuters fed up with traffic
  jams / the rediscovery of one's own city | an online language school / professionals whose careers have
  reached a plateau / the embarrassment of being lost for words | a chain of no-frills hotels / travellers who
  would rather spend their money elsewhere / the luxury of leaving things out | a brand of fair-trade coffee /
  urban consumers with a guilty conscience / the story behind every cup | a retirement home by the sea / the
  grown-up children of prospective residents / dignity rather than decline
~ money: {#12-95},000 euros | roughly {#20-90},000 dollars | in the region of {#110-480},000 euros
~ formal_bye: Yours sincerely | Yours faithfully | With kind regards | Respectfully yours | Kind regards
~ company: {client.surname} & Partners | the {~co} Group | {~co} International | {guest.surname} Holdings
~ co: Meridian | Halcyon | Vantage | Arcadia | Crestline | Orion | Summit
~ pct: {#11-48} per cent | upwards of {#51-79} per cent | barely {#4-19} per cent | a staggering {#60-92} per
  cent

= argumentative essay *5
^ [Few developments have divided public opinion as deeply as|Rarely has a phenomenon been as misunderstood
  as|Hardly a day goes by without a heated debate about|Of all the changes our generation has witnessed, none
  has been as far-reaching as] {matter.rise}. [While its supporters never tire of pointing to {matter.gain},
  its opponents warn of {matter.cost}.|The question is not so much whether it can be stopped as how it ought
  to be shaped.|What is at stake is nothing less than the way we choose to live together.|Yet the discussion
  tends to generate more heat than light.]
+ \n{^~concede} {matter.gain} [has been welcomed by|has opened up new avenues for|has been nothing short of a
  revolution in the eyes of] {~group}, and {matter.gain_b} can hardly be dismissed as a mere side effect.
+ {^~claim} {matter.gain_b} [will outlast the current excitement|deserves far more attention than it has
  hitherto received|has been bought at too high a price|is often mentioned only when it serves someone's
  interests].
+ \n{^~link} {matter.cost} [is not something that can be brushed aside|has {~hedge} been underestimated|casts
  a long shadow over these achievements|raises the question of who is to be held accountable]. Particularly in
  {country}, where {~context}, the consequences have been [keenly felt|plain for all to see|swept under the
  carpet].
+ No less disturbing is {matter.cost_b}, [the full extent of which has yet to be determined|which {~scholar}
  have been warning about for decades|a development that feeds on our own complacency|which does not lend
  itself to easy solutions].
+ Drawing on data from {num} countries, {~scholar} have {~hedge} demonstrated that {~pct} of those affected
  {~affected}. Such findings ought to be taken with a pinch of salt, if only because {~salt}.
+ Not only does {matter.name} {~does}, but it also {~does}.
+ Were we to abandon it altogether, we would {~hedge} be throwing the baby out with the bathwater.
+ Having spent {~spent}, I have come to appreciate that {~appreciate}.
+ The crux of the matter, it seems to me, lies in the distribution of benefits and burdens rather than in
  {matter.name} itself.
+ What proponents tend to gloss over is the fact that progress, however impressive, is seldom shared evenly.
+ {^~link} the alternative put forward by its fiercest critics, namely a return to the status quo, is
  {~alternative}.
^ \n[On balance,|All in all,|In the final analysis,|Weighing up these considerations,] what is called for is
  {matter.remedy}[, without which the gap between promise and reality is bound to widen|; anything short of
  that would amount to little more than window dressing|. Whether our politicians will rise to the challenge
  remains an open question|, even if this entails sacrifices on the part of us all|. Only then can we hope to
  strike a balance between what is feasible and what is desirable].
~ group: the business community | younger generations | those living in remote areas | a broad section of the
  public | the medical profession
~ context: institutions have been slow to adapt | inequality runs deep | public trust is at an all-time low |
  change tends to be imposed from above | the middle class has been shrinking for years
~ affected: would be reluctant to go back | had given little thought to the implications | harboured serious
  doubts about its fairness | felt that their concerns had fallen on deaf ears
~ salt: the samples were anything but representative | correlation does not imply causation | most of the data
  was self-reported | the study was funded by parties with a vested interest
~ does: call into question long-held assumptions | shift the balance of power | blur the line between the
  public and the private | reward those who are quickest to adapt | place a heavy burden on the weakest |
  bring out the best and the worst in us
~ spent: a good part of my career in {job:b.field} | several years in {abroad} | the better part of a decade
  abroad | countless hours discussing the issue with {friend.name}
~ appreciate: there is more to it than meets the eye | those who shout loudest are rarely those who know best
  | convictions are no substitute for evidence | compromise need not be a sign of weakness
~ alternative: neither realistic nor desirable | fraught with contradictions | tempting but ultimately
  misguided | at odds with everything we know about human nature

= letter of apology *2
^ Dear [Ms {client.surname}|Mr {client.surname}|Ms {boss.surname}|Mr {boss.surname}],\n [On behalf of
  {company}, I would like to offer you my sincere apologies for|Please accept our heartfelt apologies for|It
  is with great regret that I have learned of] {blame.what}. [I fully appreciate the frustration this must
  have caused you.|Nothing I can say will undo what has happened.|Your disappointment is entirely
  understandable.]
+ \nFollowing a detailed investigation, it has emerged that the incident was due to {blame.why}. [This is by
  no means meant as an excuse.|Let me assure you that this does not reflect the standards we set ourselves.|We
  take full responsibility for this failure.]
+ What made matters worse, as you rightly point out, was {~worse}, for which there can be no excuse
  whatsoever.
+ In order to prevent a recurrence, we have initiated {blame.fix}, the implementation of which is scheduled
  for {month}.
+ As a token of our appreciation for your patience, we would like to offer you {~token}, in addition to
  {~token}.
+ Your letter of {month:b} {#1-28}, the tone of which I found remarkably restrained under the circumstances,
  has been circulated among the members of the board.
+ Rest assured that {colleague.name} {colleague.surname}, who {~has_been}, will see to it that your concerns
  are addressed without further delay.
+ Having worked in {job:b.field} for {experience}, I am only too aware of how easily trust can be lost and how
  painstakingly it has to be regained.
+ It would be a matter of deep regret to us if, after {#4-25} years of fruitful cooperation, our relationship
  were to be overshadowed by this episode.
+ I should also like to take this opportunity to thank you for your candour, since it is feedback of this kind
  that enables us to improve.
^ \n[Should you wish to discuss the matter in person, I am at your disposal at any time.|I very much hope that
  you will give us the chance to restore your confidence.|We remain committed to earning back your
  trust.|Please do not hesitate to get in touch with me directly.]\n {~formal_bye},\n {name} {surname}
~ worse: the reluctance of our staff to put things right | our failure to respond to your initial enquiry |
  the somewhat dismissive tone of our reply | the lack of any advance warning
~ token: a voucher to the value of {#50-400} euros | a full reimbursement of all expenses incurred | a
  complimentary stay at a hotel of your choice | free delivery for the remainder of the year | an invitation
  to our annual reception
~ has_been: has recently been put in charge of customer relations | combines expertise with a great deal of
  tact | has been entrusted with your case

= advertising proposal *2
^ [The purpose of this proposal is to outline|What follows is a proposal for|In response to your enquiry, I
  would like to put forward] a marketing strategy for {campaign.product}, [to be launched by {company} in
  {month}|aimed primarily at {campaign.audience}|the success of which will hinge on a clear understanding of
  its audience].
+ \nGiven the saturation of the market, conventional advertising is {~hedge} doomed to fail. What sets our
  approach apart is the emphasis on {campaign.angle}.
+ Preliminary research conducted in {city} and {city:b} suggests that {campaign.audience} are [notoriously
  immune to slogans|far more discerning than is commonly assumed|swayed by personal recommendation rather than
  by celebrity endorsement|willing to pay a premium for authenticity].
+ {^~link} a campaign built exclusively around price would run the risk of {~risk}.
+ In the initial phase, a series of short films, each lasting no more than {#20-90} seconds, will be released
  with a view to {~view}.
+ This will be followed by {~followed}, the cost of which is estimated at {money}.
+ As regards the budget, {pct} ought to be earmarked for {~earmark}, leaving sufficient leeway for unforeseen
  expenses.
+ Should the response fall short of expectations, there would still be scope for {~scope}.
+ Needless to say, the success of the project will largely depend on the willingness of {~willing} to
  cooperate from the outset.
+ A similar campaign in {land}, for which {guest.name} {guest.surname} was responsible, led to an increase in
  brand recognition of {#8-45} per cent within a matter of months.
+ Critics might argue that {~might}; in the light of our experience, however, such fears have proved
  unfounded.
^ \n[I am confident that this concept will pave the way for sustained growth.|We would be delighted to
  elaborate on these ideas at your convenience.|In short, the proposal combines a modest outlay with a
  realistic prospect of success.|A detailed breakdown of the figures is available upon request.] [{name}
  {surname}|]
~ risk: diluting the brand | alienating the very people it sets out to attract | getting lost in the general
  noise | setting off a price war
~ view: arousing curiosity rather than conveying information | establishing an emotional bond with the
  audience | generating word-of-mouth publicity | challenging deep-seated prejudices
~ followed: a carefully orchestrated presence at trade fairs | a competition open to the general public | a
  collaboration with independent journalists | a touring exhibition in shopping centres
~ earmark: online channels | market research | training and events | the production of printed material
~ scope: a reallocation of resources | a gradual repositioning of the product | scaling back the second phase
  | a shift of emphasis towards regional media
~ willing: local retailers | the sales force | all parties involved | the production department
~ might: the tone is too subtle for a mass audience | irony does not translate across cultures | the target
  group has been defined too narrowly | the timing leaves much to be desired

= critical review *3
^ [There is something deeply unsettling about|Seldom have I been as torn as I was by|Much has been written
  about|It is not without hesitation that I recommend] "{work.title}", a {work.form} [which takes {work.theme}
  as its starting point|whose ostensible subject is {work.theme}|dealing with nothing less than
  {work.theme}|by {guest.name} {guest.surname}, whose preoccupation with {work.theme} is well known].
+ What strikes one from the very outset is {work.strength}, [a quality all too rare these days|for which the
  critics have been full of praise|without which the whole enterprise would fall apart].
+ {^~concede} the work suffers from {work.weakness}. [Yet this seems a small price to pay.|Whether this is
  deliberate is anyone's guess.|One is nevertheless left with the impression of having witnessed something
  extraordinary.]
+ Far from offering easy consolation, it confronts us with {~confront}.
+ The central figure, {~figure}, is portrayed with a mixture of {~mix} and {~mix}.
+ Set against the backdrop of {~backdrop}, it {~hedge} reads as a commentary on our own times.
+ Only towards the end does it become apparent that {~apparent}, a twist which lends the preceding scenes an
  entirely new significance.
+ {^~link} comparisons with earlier works are inevitable. Whereas those were marked by {~marked}, here the
  emphasis has shifted towards {~marked}.
+ {friend.name}, with whom I had a lively argument afterwards, dismissed it as {~dismiss}. I beg to differ.
+ It is in its quieter moments, when {~quiet}, that it truly comes into its own.
+ The audience in {city}, judging by the subdued applause, appeared to be {~audience}.
^ [For all its shortcomings, it will stay with me for a long time to come.|It may not be to everyone's taste,
  but then again, hardly anything of value is.|Those in search of light entertainment would be well advised to
  look elsewhere.|If nothing else, it is a powerful reminder of {work.theme}.|All things considered, it is a
  flawed masterpiece, but a masterpiece nonetheless.]
~ confront: questions we would rather not ask | the limits of our own empathy | a past that refuses to be laid
  to rest | the uncomfortable proximity of love and cruelty
~ figure: a widowed judge on the verge of retirement | an interpreter haunted by a single mistake | a pianist
  who has lost the will to perform | a mother of three trapped in a loveless marriage | a disgraced surveyor
  returning to his village
~ mix: tenderness | irony | detachment | ruthlessness | compassion | restraint
~ backdrop: a country in the throes of economic collapse | the final years of the empire | a nameless
  provincial town | a post-war society eager to forget | a summer of relentless heat
~ apparent: the narrator has been deceiving us all along | the letters had never been sent | victim and
  culprit are one and the same | nothing has been left to chance
~ marked: exuberance | political commitment | formal experimentation | brooding introspection | a playful
  disregard for convention
~ dismiss: pretentious nonsense | style over substance | a missed opportunity | an exercise in self-pity
~ quiet: hardly a word is spoken | the mask slips for an instant | everyday gestures acquire an almost ritual
  weight
~ audience: as divided as the critics | deeply moved | somewhat at a loss | less than enthusiastic

= ethical dilemma *2
^ [It is often in the most mundane situations that our principles are put to the test.|Codes of ethics tend to
  be drawn up with the best of intentions, only to gather dust in a drawer.|Integrity is a word that trips
  easily off the tongue.|There are moments in one's professional life for which no training can prepare one.]
  Some years ago, I was confronted with {dilemma.case}.
^ Torn between {dilemma.duty} and {dilemma.pull}, I [spent several sleepless nights weighing up the pros and
  cons|found myself at a complete loss|did what most people would {~hedge} have done: nothing at all|turned to
  {friend.name}, whose judgement I have always held in high regard].
+ {^~claim} silence, in such circumstances, is tantamount to complicity.
+ {^~link} the repercussions of speaking out can be dire: {~dire}, to name but one of them.
+ My superior, to whom I eventually confided my misgivings, responded with {~responded}, which left me [none
  the wiser|more determined than ever|with little choice but to act].
+ What complicated the decision was not so much the fear of {~fear} as the realisation that {~realise}.
+ Philosophers might frame the issue in terms of {~frame}; in practice, however, it boils down to whether one
  can still look oneself in the eye.
+ With the benefit of hindsight, I cannot help but feel that {~hindsight}.
+ No sooner had the matter been brought to light than {~no_sooner}.
+ Had the company fostered a culture in which criticism was welcome, it would {~hedge} never have come to
  this.
+ Far be it from me to pass judgement on others, let alone on those with a family to feed.
^ [In retrospect, the incident taught me that {~taught}.|If there is a lesson to be drawn, it is surely that
  {~taught}.|To this day, I am not entirely certain that I did the right thing.|What I took away from the
  experience is the conviction that {~taught}.]
~ dire: the loss of one's livelihood | social exclusion | a lengthy legal battle | a reputation damaged beyond
  repair
~ responded: a shrug of indifference | thinly veiled threats | unexpected sympathy | a string of platitudes
~ fear: losing my position | making a fool of myself | being proved wrong | retaliation
~ realise: I had been turning a blind eye for months | others stood to lose far more than I did | there was no
  one left to ask | the rules themselves were part of the problem
~ frame: duty versus consequence | individual conscience and collective interest | competing loyalties
~ hindsight: I ought to have acted sooner | my motives were less noble than I would like to believe | a more
  diplomatic approach would have spared everyone a great deal of pain
~ no_sooner: everyone claimed to have known all along | a scapegoat was found | the directors issued a
  statement denying any involvement | colleagues began to avoid me in the corridor
~ taught: doing the right thing rarely comes free of charge | principles are worth only as much as one is
  prepared to pay for them | trust, once forfeited, is all but impossible to restore | courage is contagious

= legendary creature
^ [Legend has it that|According to a tale handed down from generation to generation,|Ask anyone from the
  villages around {city}, and you will be told that|Of the countless myths surrounding {land}, none is as
  persistent as the belief that] {creature.name} still roams [the hills at dusk|the shores after nightfall|the
  forests on moonless nights|the ruins of the old fortress]. [Sceptics may scoff at such stories.|Whatever one
  makes of such accounts, their appeal is undeniable.|]
+ Those who claim to have set eyes on it speak of {creature.look}, a description which, despite minor
  discrepancies, has remained remarkably consistent over the centuries.
+ The earliest written reference, dating back to {#1380-1790}, occurs in {~source}, whose author {~author}.
+ Its appearance has traditionally been interpreted as {creature.lore}, though {~scholar} are more inclined to
  attribute it to {~attribute}.
+ {^~link} the absence of tangible evidence has done little to dampen the enthusiasm of {~enthusiast}.
+ In {#1890-1985}, an expedition led by {guest.name} {guest.surname} set out to settle the matter once and for
  all, only to return with {~return}.
+ My grandmother, not otherwise given to superstition, would never {~never} without first {~first}.
+ What such narratives reveal, if anything, is {~reveal}.
+ In recent years, the local tourist board has been quick to capitalise on the story, much to the dismay of
  {~dismay}.
+ So vivid are these accounts that even the most hardened rationalist might be forgiven for glancing over his
  shoulder.
^ [Whether or not one believes in it is beside the point; what counts is the telling.|The truth, in all
  likelihood, will never come to light, and perhaps it is better that way.|As long as there are dark nights
  and long winters, the legend will live on.|Next time you hear footsteps behind you, do not say you have not
  been warned.]
~ source: the chronicle of a monastery | a sailor's diary | the records of a witchcraft trial | a collection
  of travellers' letters
~ author: swears to have witnessed it with his own eyes | was later declared insane | can hardly be accused of
  a vivid imagination | remains shrouded in mystery
~ attribute: mass hysteria | an unusual weather phenomenon | the misidentification of a common animal | the
  need to keep children from wandering off
~ enthusiast: amateur researchers | self-proclaimed monster hunters | the tabloid press | romantic souls
~ return: a handful of blurred photographs | contradictory testimonies | nothing but frostbite and wounded
  pride | a single inexplicable footprint
~ never: leave the house after sunset | cross the bridge | light the stove | go to bed on St John's Eve
~ first: making the sign of the cross | whistling three times | scattering a handful of salt | uttering a few
  words in a dialect no one else understood
~ reveal: the anxieties of the society that produced them | our innate need to give fear a face | how thin the
  veneer of reason can be
~ dismay: the older inhabitants | serious folklorists | conservationists

= company report *2
^ [This report sets out to|The present report aims to|The objective of this report is to] [assess the impact
  of {matter.name} on the {post} division of {company}|analyse the reasons for the recent decline in staff
  morale at {company}|evaluate the feasibility of a merger between {company} and its main competitor|identify
  areas in which the {post} department falls short of its targets]. [It draws on interviews with {#12-140}
  members of staff.|The findings are based on data gathered between {month} and {month:b}.|It concludes with a
  set of recommendations.]
+ \nThe most striking finding is the discrepancy between {~disc} and {~disc}, which {~hedge} accounts for the
  high turnover of personnel.
+ While {pct} of the respondents expressed satisfaction with {~satis}, concerns were voiced regarding
  {~concern} and {~concern}.
+ \nThe restructuring carried out in {#2003-2012}, however well intended, appears to have resulted in
  {~resulted}.
+ Furthermore, insufficient attention has been paid to {~attention}, a shortcoming to which {colleague.name}
  {colleague.surname} had drawn attention as early as {month:c}.
+ In terms of costs, a reduction of {#5-28} per cent would be attainable, provided that {~provided}.
+ It would be premature to infer from these figures that {~infer}; a more plausible explanation lies in
  {~plaus}.
+ By contrast, the introduction of {~intro} has met with widespread approval, notably among {~notably}.
+ Not until the middle of the period under review was there any discernible improvement.
+ The experience of comparable firms in {land} lends weight to the view that {~weight}.
^ \n[In the light of the above, it is recommended that|Based on these findings, it is strongly advised that|In
  conclusion, the management is urged to ensure that] {~recommend} and that {~recommend}. [Failure to do so
  may have serious repercussions.|Further research would be needed to establish the long-term effects.|The
  cost of inaction would, in all probability, be considerably higher.|]
~ disc: official policy | everyday practice | the expectations of management | the perception of employees |
  projected figures | actual performance
~ satis: working conditions | the quality of supervision | opportunities for further training
~ concern: the lack of transparency in decision-making | the steady increase in workload | unequal pay | the
  absence of clear responsibilities | the prevalence of informal arrangements
~ resulted: a duplication of effort | a loss of institutional knowledge | widespread uncertainty | an
  unhealthy concentration of power
~ attention: the integration of new recruits | the maintenance of existing client relationships | the
  reconciliation of work and family life | early signs of exhaustion
~ provided: procurement were centralised | unnecessary layers of hierarchy were removed | the existing
  contracts were renegotiated
~ infer: the staff are unwilling to change | the strategy has failed | the market has collapsed
~ plaus: the timing of the survey | a lack of guidance from above | the cumulative effect of minor
  misunderstandings
~ intro: flexible working hours | an anonymous complaints procedure | a mentoring scheme | regular informal
  meetings
~ notably: younger members of staff | those with caring responsibilities | employees based in {city:b}
~ weight: participation breeds commitment | gradual change outlasts radical reform | prevention is cheaper
  than cure
~ recommend: responsibilities be redefined without delay | an independent mediator be appointed | a pilot
  scheme be set up in {city} | staff be consulted at every stage | the findings be made available to all
  employees | the budget for training be doubled

= reflection on language and culture *2
^ [Learning a language is, in a sense, an exercise in humility.|To live abroad is to see one's own country
  through borrowed eyes.|It was not until I moved to {abroad} that I became aware of how {nationality} I
  am.|Having grown up in {country}, I had always taken certain things for granted.] [For all the grammar I had
  mastered, I was utterly unprepared for what awaited me.|What no textbook had prepared me for was
  {~culture}.|I would be hard pressed to say which of the two has changed me more.]
+ {^~claim} proficiency has less to do with vocabulary than with {~proficiency}.
+ In {language}, there is a word for {~word_for}, the full meaning of which defies translation.
+ {^~link} stereotypes, tempting though they may be, rarely stand up to scrutiny. {~stereotype}
+ On one memorable occasion, I inadvertently offended {friend.name} by {~offend}, a blunder that we have since
  come to laugh about.
+ Gradually, almost imperceptibly, {~gradually}, and with it came {~with_it}.
+ What struck me most forcefully was {~culture}, as opposed to {~culture} to which I had been accustomed.
+ {^~scholar} maintain that the language we speak shapes the way we think, a hypothesis to which I would
  {~hedge} subscribe.
+ Returning to {city} after an absence of {#2-9} years, I felt like a stranger in my own skin, caught between
  two worlds and at home in neither.
+ Small wonder, then, that so many of those who emigrate end up idealising the very place they could not wait
  to leave behind.
+ If anything, the encounter with the unfamiliar has deepened my attachment to {~attachment}.
^ [Be that as it may, I would not have missed it for the world.|Perhaps belonging is, after all, less a matter
  of geography than of choice.|What remains is a profound gratitude towards those who put up with my
  mistakes.|In the end, it is the misunderstandings that bring us closer together.]
~ culture: the art of saying no without actually saying it | the sheer weight of the unspoken | a sense of
  humour bordering on the absurd | the almost religious observance of punctuality | an easy-going attitude
  towards rules | the warmth shown to complete strangers
~ proficiency: the ability to read between the lines | a feel for what is better left unsaid | the courage to
  make a fool of oneself | an ear for rhythm and tone
~ word_for: the longing one feels for a place that no longer exists | the comfort of a shared silence | the
  hour between work and dinner | a debt that can never be repaid
~ stereotype: Those I met were as diverse as any group of people could be. | For every cliché that was
  confirmed, three others were shattered. | They tell us more about the observer than about the observed.
~ offend: refusing a second helping of dinner | addressing an elderly relative by first name | taking a polite
  invitation at face value | arriving exactly on time
~ gradually: I began to dream in English | the foreign became familiar | my sentences grew longer and my fears
  smaller
~ with_it: an unexpected sense of freedom | a certain loss of innocence | a second, slightly bolder version of
  myself
~ attachment: the cooking of my childhood | the literature of {country} | the dialect spoken in {city:b} |
  rituals I had once ridiculed

= letter to the editor
^ [Dear Sir or Madam,|To the Editor,|Dear Editor,]\n [I read with growing disbelief your recent article on|I
  am writing with reference to your editorial of {month} {#1-28}, in which you take issue with|As a regular
  reader, I was taken aback by the one-sided portrayal of] {matter.name}. [While I share some of your
  concerns, I feel compelled to set the record straight.|To put it mildly, your line of reasoning leaves much
  to be desired.|The issue deserves a more balanced treatment.]
+ In dwelling exclusively on {matter.cost}, your correspondent conveniently overlooks {matter.gain}, which is
  hardly a trifling matter.
+ {^~concede} {matter.cost_b} gives cause for concern. To conclude from this, however, that the whole idea
  ought to be abandoned strikes me as [short-sighted|disingenuous|a classic case of overreaction].
+ As someone who has been working in {job:b.field} for {experience}, I can testify to {matter.gain_b}, the
  benefits of which your readers in {city} experience on a daily basis.
+ The statistics quoted in the article, according to which {~pct} of the population are opposed to it, are
  {~hedge} misleading, for {~salt_ed}.
+ {^~link} it would have been advisable to give a voice to {~voice}, who are, after all, the ones most
  directly affected.
+ Sensationalism of this kind may well boost circulation; it does not, however, contribute to an informed
  debate.
+ Had the author taken the trouble to {~trouble}, he would have come across a rather different picture.
+ To portray the advocates of {matter.name} as {~portray} is to do them a grave injustice.
^ \n[What is urgently needed is {matter.remedy}, not yet another exercise in finger-pointing.|I trust that you
  will see fit to publish this response.|Rather than fanning the flames, the press would do well to promote
  {matter.remedy}.|It is to be hoped that future contributions will do justice to the complexity of the
  subject.]\n {~formal_bye},\n {name} {surname}, {city}
~ salt_ed: they date from a time when conditions were entirely different | the question was phrased in a
  leading manner | only subscribers were polled
~ voice: those working in the field | the younger generation | small business owners | the residents concerned
~ trouble: consult the relevant literature | talk to the people involved | look beyond the headlines | verify
  the figures
~ portray: starry-eyed dreamers | ruthless profiteers | enemies of progress | a privileged elite

= performance appraisal
^ [{^colleague.name} {colleague.surname} joined the {post} department in {month} and has since proved to
  be|Over the period under review, {colleague.name} {colleague.surname} has shown {colleague.him}self to
  be|Having supervised {colleague.name} {colleague.surname} for the past {#2-9} years, I consider
  {colleague.him}] [an asset to the company|a force to be reckoned with|an employee of considerable
  promise|someone on whose judgement one can rely implicitly].
+ What sets {colleague.him} apart from {colleague.his} peers is {~apart}, coupled with {~apart}.
+ Under {colleague.his} stewardship, {~stewardship}, an achievement all the more remarkable given
  {~given_app}.
+ There is, however, room for improvement when it comes to {~room}. {^colleague.he} would do well to
  {~do_well}.
+ {^~concede} {colleague.his} tendency towards {~tendency} has on occasion given rise to friction within the
  team.
+ Colleagues in {city:b} have commented favourably on {colleague.his} readiness to {~readiness}.
+ Rarely does {colleague.he} allow setbacks to dampen {colleague.his} enthusiasm.
+ The client survey conducted in {month:b}, in which {colleague.he} scored well above average, bears testimony
  to {~testimony}.
+ {^~link} expectations ought to be adjusted in view of {~in_view}.
+ Targets for the coming year include {~targets} as well as {~targets}.
+ Were a vacancy to arise at a more senior level, {colleague.he} would be among the first to be considered.
^ [All in all, {colleague.his} contribution has been exemplary, and I have no hesitation in endorsing
  {colleague.his} promotion.|It is to be hoped that this potential will be harnessed to the full.|A follow-up
  meeting has been scheduled for {month:c} with a view to monitoring progress.|On the whole, the outlook is
  encouraging.]
~ apart: an unfailing attention to detail | a rare combination of tact and tenacity | an intuitive grasp of
  complex problems | the ability to keep a cool head | a willingness to go the extra mile
~ stewardship: turnover has risen by {#6-34} per cent | the backlog of complaints has been cleared |
  absenteeism has fallen markedly | two major accounts have been secured
~ given_app: the constraints under which the team had to operate | the current economic climate | the lack of
  prior experience | the reluctance of some stakeholders
~ room: the delegation of routine tasks | time management | the drafting of written reports | dealing with
  criticism
~ do_well: seek feedback at an earlier stage | resist the urge to control every step | take minor setbacks in
  stride | brush up on the legal basics
~ tendency: perfectionism | bluntness | excessive caution | last-minute improvisation
~ readiness: lend a helping hand | share hard-won expertise | shoulder unpopular tasks | admit to mistakes
~ testimony: the trust placed in {colleague.him} | years of painstaking preparation | a genuine commitment to
  quality
~ in_view: the forthcoming merger | the sheer volume of work | recent changes to the regulatory framework
~ targets: the successful completion of the pilot project | a reduction of response times | the mentoring of
  two trainees | the acquisition of a further foreign language | closer cooperation with the {post:b} division

= an ironic column *2
^ [There comes a point in everyone's life when {~ironic_point}.|I have a confession to make: {~confess}.|Of
  all the indignities of modern life, few compare to {~indignity}.|Much as I hate to admit it, {~confess}.]
  [Bear with me.|I speak from bitter experience.|Anyone who claims otherwise is lying.|It is, I am told, a
  sign of the times.]
+ {^partner}, ever the voice of reason, suggested {~suggested}, a proposal I dismissed out of hand, only to
  regret it within hours.
+ It all began innocently enough with {~began}, and before I knew it, {~before_knew}.
+ The instructions, evidently translated from {language} into English by someone fluent in neither, were of
  little help.
+ {^~scholar} would no doubt describe the phenomenon as {~describe}. I would call it {~call_it}.
+ To add insult to injury, {neighbour.name} from next door, {~nextdoor}, happened to witness the whole scene.
+ Not that I have anything against {~against}; it is merely that {~merely}.
+ By the time the customer service representative had finished explaining that {~rep_said}, my coffee, my
  patience and my battery had all run out, in that order.
+ {^~link} one cannot help but marvel at the ingenuity with which {~ingenuity}.
+ My grandfather, who got by for {#74-94} years without any of this, would have {~grand_would}.
+ In {city}, of all places, one would have thought that {~one_thought}.
+ {^child}, needless to say, had the problem solved in under {#20-58} seconds.
^ [Progress, they call it.|And yet, come Monday, I shall in all probability do exactly the same again.|I rest
  my case.|The moral of the story, if there is one, continues to elude me.|If you need me, I shall be in the
  garden, out of reach of all networks.]
~ ironic_point: one's telephone is smarter than oneself | assembling a bookshelf becomes a test of character |
  silence is a luxury to be paid for by the hour | small talk gives way to a discussion of knee pain
~ confess: I have never read the terms and conditions | I talk to my {pet} as if it held a degree in
  philosophy | I pretend to understand wine | I have been avoiding my neighbours for the better part of a year
  | my gym membership is purely decorative
~ indignity: being put on hold | the self-service checkout | the open-plan office | the motivational seminar |
  the password that must contain a hieroglyph
~ suggested: calling in a professional | reading the manual | leaving well alone | a change of scenery |
  counting to ten
~ began: a seemingly harmless software update | an advertisement promising inner peace | a flat-pack wardrobe
  | a well-meant birthday present | a single missing screw
~ before_knew: I was the proud owner of three subscriptions | the living room resembled a battlefield | I had
  agreed to run a half-marathon | half the street had become involved
~ describe: a paradox of choice | a displacement activity | collective self-deception | the tyranny of
  convenience
~ call_it: daylight robbery | stupidity, plain and simple | an ordinary Tuesday | the price one pays for
  curiosity
~ nextdoor: who misses nothing | whose lawn is cut with nail scissors | a retired inspector with a keen sense
  of the ridiculous
~ against: technology as such | healthy food | early risers | enthusiasm in moderate doses
~ merely: I prefer my appliances to be seen and not heard | there is a time and a place for everything | life
  is too short for instructions
~ rep_said: my problem did not exist | the warranty had expired the previous day | a form would have to be
  filled in first
~ ingenuity: we complicate the simplest of tasks | people find ever new ways of wasting time | companies sell
  us solutions to problems they have created
~ grand_would: raised an eyebrow and said nothing | reached for his hammer | found the whole affair hilarious
~ one_thought: common sense would prevail | people had better things to do | someone would have thought of a
  simpler way

= speech at a farewell
^ [Ladies and gentlemen,|Dear colleagues, dear friends,|Distinguished guests,]\n [it falls to me to bid
  farewell to|we are gathered here tonight in honour of|few people have left their mark on this company as
  profoundly as] {boss.name} {boss.surname}, [who, after {#18-41} years of dedicated service, is about to
  embark on a new chapter|whose departure marks the end of an era|without whom this department would hardly be
  what it is today].
+ When {boss.he} first set foot in our premises, {~first_set}; by the time {boss.his} tenure as head of {post}
  drew to a close, {~drew_close}.
+ What I have always admired about {boss.him} is {~admire}, a quality that is, regrettably, in short supply.
+ Those of us who had the privilege of working alongside {boss.him} will vividly recall {~recall}.
+ {^~concede} {boss.he} did not suffer fools gladly. Yet behind that stern exterior there was {~behind}.
+ It was {boss.he} who, in the face of considerable opposition, pushed through {~pushed}, thereby {~thereby}.
+ {^~link} it would be remiss of me not to mention {boss.his} legendary {~legendary}.
+ I, for one, owe {boss.him} more than I can put into words: had it not been for {boss.his} encouragement, I
  would never have {~never_would}.
+ Rumour has it that {boss.he} intends to devote {boss.him}self to {~devote}, far from deadlines and
  spreadsheets.
+ Replacing someone of {boss.his} calibre is easier said than done.
^ \n[Please join me in raising a glass to a truly remarkable {boss.man}.|On behalf of us all, I wish
  {boss.him} every happiness in the years to come.|We shall miss {boss.him}, but we shall not let {boss.him}
  off the hook entirely.|May the door always remain open.]
~ first_set: computers filled entire rooms | the company consisted of a handful of dreamers | I was still in
  primary school | the building was little more than a shell
~ drew_close: it had become a benchmark for the whole industry | hardly a stone had been left unturned | our
  staff had grown tenfold
~ admire: the courage to admit mistakes | an almost uncanny knack for spotting talent | an unwavering sense of
  fairness | the refusal to cut corners
~ recall: the night the server collapsed on the eve of the audit | those meticulously prepared Monday
  briefings | the infamous trip to {abroad} | the negotiations that dragged on until dawn
~ behind: a heart of gold | a wicked sense of humour | a mentor of infinite patience
~ pushed: the introduction of flexible hours | the opening of our branch in {city:b} | a ban on meetings after
  four o'clock
~ thereby: sparing us many a sleepless night | laying the foundations for our present success | earning the
  lasting gratitude of the workforce
~ legendary: handwriting, which only two people have ever managed to decipher | collection of ties |
  impatience with lifts | ability to nap in the middle of a conference call
~ never_would: dared to apply for this post | completed my thesis | moved to {city}
~ devote: {~hobby.ing} | the restoration of an old sailing boat | the cultivation of roses | writing a book
  that nobody dared to commission
""",
    BASE,
)
