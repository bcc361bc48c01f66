"""B1: present perfect, "although" and "however", opinions and reasons, first conditionals, simple relative clauses."""

from ilm.corpus.synthetic.grammar import parse_grammar
from ilm.corpus.synthetic.lexicon import BASE

GRAMMAR = parse_grammar(
    r"""
~ years: three years | five years | more than ten years | two years | almost four years | seven years | a long
  time | over six years | one and a half years
~ recently: last {~month} | two weeks ago | at the beginning of {~month} | on {~month} {#4-20}th | a few days
  ago | last {~day} | in {~month}
~ opinion: In my opinion, | I think that | I believe that | As far as I know, | Personally, I think that |
  From my point of view, | I am sure that | For me,
~ link: However, | On the other hand, | But at the same time, | Nevertheless, | Of course,
~ add: Besides, | In addition, | Moreover, | Also, | What is more, | Apart from that,
~ product(name, fault, want): washing machine / makes a terrible noise when it spins / repair it | laptop /
  switches itself off after ten minutes / replace it | digital camera / takes dark pictures even in the sun /
  replace it | mobile phone / has a battery that lasts less than three hours / send me a new one | coffee
  machine / loses water every time I use it / repair it | vacuum cleaner / doesn't clean anything at all /
  give me my money back | pair of headphones / works only on one side / replace it | suitcase / has a broken
  wheel / give me a refund | winter jacket / has a hole under the left arm / change it | television / shows
  green lines on the screen / send a technician | printer / destroys every second page / replace it | bicycle
  / has brakes that do not work properly / repair it for free | sofa / is a different colour from the one in
  the catalogue / collect it | watch / has stopped three times already / repair it
~ shop_reply: told me to wait for two weeks | was very unfriendly | said that it was my own fault | promised
  to call me back but never did | didn't even listen to me | asked me to send another email | said that the
  manager was on holiday | hung up the phone
~ film(title, kind, hero, plot, end): The {~fadj} {~fnoun} / thriller / a young journalist / discovers that
  the mayor has been lying for years / the truth comes out on live television | {~fadj} {~fnoun} / drama / an
  old fisherman / has not spoken to his daughter since she left home / they meet on a small island | The
  {~fnoun} Keeper / adventure film / a boy from a poor village / finds a map that leads to a forgotten city /
  he gives the treasure back | {abroad} by Night / romantic comedy / a shy waiter / falls in love with a
  famous singer who has lost her voice / they open a bakery together | The Second {~fnoun} / science fiction
  film / a scientist / has built a machine that can read dreams / she decides to destroy it | No {~fnoun} for
  Anna / crime story / a retired detective / has to solve the case that ended her career / she arrests her
  best friend | {~fadj} Summer / family film / a lonely boy / spends his holidays with a grandfather he has
  never met / they win a boat race | A {~fnoun} in Winter / war film / a nurse / hides two soldiers in her
  cellar / only one of them comes home | The {~fadj} Teacher / comedy / a teacher who hates children / has to
  take his class to {abroad} / he becomes their hero
~ fnoun: Garden | Train | River | Island | Letter | Mountain | House | Road | Door | Ship | Star | Map |
  Bridge | Lighthouse | Mirror | Promise | Clock | Orchard
~ fadj: Blue | Silent | Golden | Long | Dark | Little | Broken | Cold | Perfect | White | Hidden | Distant |
  Lost | Empty | Strange
~ quality: responsible | reliable | creative | organised | flexible | hard-working | motivated | open-minded |
  good with people | punctual | calm under pressure | able to work in a team | quick to learn
~ position(title, skill): shop manager / leading a small team | travel guide / planning trips for groups |
  customer service assistant / dealing with difficult customers | computer game tester / finding mistakes in
  software | hotel receptionist / organising bookings | marketing assistant / writing advertising texts |
  babysitter / taking care of children | English teacher / preparing lessons | swimming instructor / teaching
  children and adults | secretary / planning meetings | sales representative / selling technical products |
  web designer / building websites | volunteer in an animal shelter / looking after dogs and cats | chef /
  cooking for large groups | warehouse worker / checking deliveries | event organiser / preparing conferences
~ problem(what, tip, tip_b): I can't sleep at night / try to switch off your phone an hour before bed / drink
  warm milk instead of coffee | I have put on weight this year / take the stairs instead of the lift / cook at
  home more often | I am always tired at work / talk to your boss about your hours / take a short walk at
  lunch | I argue with my flatmate all the time / sit down with him and make some rules / look for your own
  flat | I never have any money at the end of the month / write down everything you buy / pay with cash | I
  want to learn English faster / watch series with subtitles / find somebody to practise with | I don't know
  what to study / visit the university before you decide / speak to people who do that job | my neighbours are
  very noisy / knock on their door and explain the problem / write them a friendly letter | my {~teen} spends
  all day on the computer / agree on a fixed time each day / do more things together outside | I feel lonely
  in my new city / join a sports club / invite your colleagues for dinner | I am afraid of flying / sit near
  the front of the plane / listen to calm music | I have too much stress / say no more often / learn to relax
  with yoga
~ teen: son | daughter | brother | nephew
~ issue(name, good, bad, do): social networks / you can keep in touch with old friends / people show a life
  that is not real / check them only twice a day | living in a big city / there is always something to do /
  the air is dirty and everybody is in a hurry / spend the weekend in nature | working from home / you don't
  lose time in traffic / you miss your colleagues / have a separate room for work | online shopping / you find
  lower prices / small shops have to close / buy only what we really need | mobile phones at school / students
  can look up information / it is harder to concentrate / keep them in the bag during lessons | fast food / it
  is cheap and quick / it is bad for the heart / eat it only once a month | zoos / children learn about
  animals / the cages are too small / support parks where animals live free | learning languages online / you
  can study whenever you want / there is nobody who corrects your pronunciation / speak with real people as
  well | cheap flights / more people can see the world / they pollute the sky / take the train for short trips
  | video games / they make you think quickly / some children can't stop playing / set clear limits |
  advertising / it tells us about new things / it makes us buy useless products / think twice before we buy |
  school uniforms / nobody is judged by his clothes / they are expensive for families / let the pupils vote |
  keeping pets in flats / they give love to lonely people / a dog needs more space / choose a small animal
~ env: separate our rubbish | use less water | switch off the lights when we leave a room | take the bus
  instead of the car | buy local fruit and vegetables | plant more trees | carry our own bags to the
  supermarket | repair things instead of throwing them away | eat less meat | turn down the heating
~ env_bad: the rivers are full of plastic | many animals have disappeared | the summers have become much
  hotter | the air in our cities is getting worse | the weather has become strange | there has been less rain
  every year | the beaches are dirty after every weekend
~ change_job: the salary was too low | the company closed | I had a conflict with my boss | I wanted a new
  challenge | we moved to {city} | I was offered something better

~ dish_bad: the soup was cold | the meat was hard as a shoe | we found a hair in the salad | the rice was not
  cooked | the potatoes were burned | the plates were not clean | the wine was warm
~ dish_good: the fish was fresh and well cooked | the dessert was the best I have ever eaten | everything was
  made with local products | the portions were big | the vegetables tasted like in my grandmother's garden |
  the bread was still warm
~ stolen: my laptop | my wallet with all my cards | a gold necklace | my camera | my passport | a leather
  jacket | two mobile phones | my grandmother's ring | some cash | my tablet
~ sincerely: Yours sincerely | Yours faithfully | Kind regards | Best regards | Sincerely | Regards | With
  best regards
~ bye: All the best | Best wishes | Take care | See you soon | Love | Write back soon | Lots of love | Your
  friend
~ feel: disappointed | surprised | angry | really happy | confused | proud | worried | excited | embarrassed |
  relieved | upset

= complaint letter *3
^ Dear [Sir or Madam|Sir/Madam|Mr {boss.surname}|Ms {boss.surname}|customer service team],\n I am writing [to
  complain about|because I am not satisfied with|because I have a problem with] a {product.name} [that|which]
  I bought in your [shop|online shop|store in {city}] {~recently}.
^ I have used it only {times_used}, but it {product.fault}.
+ I paid {#40-900} {currency} for it, so I expected [better quality|a product that works|much more].
+ When I called your [hotline|office|shop], the person on the phone {~shop_reply}. I was very {feel}.
+ I have already written {num} emails, but I haven't received [an answer|any reply|a solution] yet.
+ I have been your customer for {years} and I have never had [such a problem|a similar experience|any trouble]
  before.
+ The advertisement says that it is [easy to use|the best of its kind|made to last|of the highest quality],
  which is [simply not true|hard to believe now].
+ Although I followed all the instructions, [nothing changed|it still doesn't work|the problem got worse|I had
  no success].
+ I needed it for [my work|a trip to {abroad}|my {~teen}'s birthday|an important meeting], so I had to [borrow
  one from {friend.name}|buy another one|cancel everything].
+ {^~add} it arrived {#3-20} days [late|later than you promised], and the box was [open|damaged|wet].
^ \nI would like you to {product.want} [as soon as possible|within ten days|before the end of the month]. If I
  don't hear from you, I will [contact a lawyer|go to the consumer office|write about it on the internet|never
  buy in your shop again].\n [I look forward to your answer.|I hope that we can find a solution.|A copy of the
  receipt is attached.]\n {~sincerely},\n {name} {surname}
~ times_used: three times | twice | once | for four days | for one week | a few times

= job application *3
^ Dear [Sir or Madam|Mr {boss.surname}|Ms {boss.surname}|Hiring Manager],\n I am writing to apply for the
  [position|job] of {position.title}, which [I saw|was advertised] [on your website|in the newspaper|on the
  internet] {~recently}.
+ I am {age} years old and I have worked [in {job.field}|in {country}|for different companies] for
  {experience}.
+ At the moment I am a {job.title}. Before that, I worked as a {~position.title}, but I left because
  {change_job}.
+ I have a lot of experience in {position.skill}. In my last job I {~jobdone} and I {~jobdone}.
+ I am {~quality} and {~quality}. [My colleagues say that I am also {~quality}.|My last boss would confirm
  this.|]
+ I speak {language} and English, and I have been learning {~lang_c} for {years:b}.
+ I studied {subject} in {city}, where I also [worked as a volunteer|organised a student newspaper|gave
  private lessons|played in the {sport} team].
+ I would like to work for you because [your company is famous all over {country}|I have always wanted to work
  with people|I want to improve my English|I like new challenges|I love {~hobby.ing}].
+ Although I have never worked as a {position.title} before, I learn quickly and I [enjoy|am not afraid of]
  [new tasks|responsibility|working hard].
+ I can start [immediately|next month|in {month}|after the summer]. I don't mind working [at weekends|at
  night|in a team|overtime].
+ In my free time I enjoy {hobby.ing} and {hobby:b.ing}, which [helps me to relax|has taught me to be
  patient|keeps me fit].
^ \n[I have attached my CV.|You can find my CV attached.|Please find my CV attached to this email.] [I hope to
  hear from you soon.|I look forward to meeting you.|I would be happy to come to an interview.|If you need
  more information, please contact me.]\n {~sincerely},\n {name} {surname}
~ jobdone: trained new employees | was responsible for the budget | answered letters from all over the world |
  organised a festival with {#2-9}00 guests | sold more than anybody else | solved problems every day |
  learned to work with modern software | wrote reports in English | prepared presentations | took care of the
  website
~ lang_c: French | Spanish | German | Italian | Japanese | Portuguese | Russian

= film or book review *3
^ [I have just seen|{^recently} I saw|Last weekend {friend.name} and I watched|I have recently watched]
  "{film.title}", a {film.kind} [about|that tells the story of] {film.hero} who {film.plot}.
+ The [film|story] takes place in {place_film} [in the {#18-19}{#2-9}0s|in our time|after the war|in the near
  future], and it [begins very slowly|is based on a true story|was filmed in {land}].
+ Although the beginning is [a bit boring|difficult to understand|too long], it [becomes more exciting|gets
  better] after {#20-50} minutes.
+ I won't tell you everything, but in the end {film.end}, which [surprised me|made me cry|I didn't expect|is
  not very realistic].
+ The main actor is [excellent|wonderful|not bad|perfect for this role]. I have seen {his_films} of his films,
  and this is [the best one|not his best|a big step forward].
+ {^~opinion} the [music|photography|dialogue] is the [best|weakest] part of the film.
+ What I liked most was the scene where [they say goodbye at the station|everybody starts to sing|the two
  enemies shake hands|he reads the last letter|the storm hits the ship].
+ {^~link} some characters are [not very interesting|too perfect|difficult to believe|shown only for a
  minute].
+ {friend.name} thought it was [too sad|a masterpiece|a waste of time|quite funny], but I [agree only
  partly|don't agree|felt the same].
+ The message is that [money doesn't make us happy|we should never stop dreaming|family is more important than
  success|everybody can change|nobody is completely bad].
+ It has won {num} prizes, and I [can understand why|wonder why|think it deserved them].
+ If you like [{music}|action|strong emotions|slow stories|books by unknown writers], you will [enjoy|love]
  it.
^ [I would recommend it to anybody who likes a good {film.kind}.|I give it {#6-9} points out of ten.|Don't
  miss it!|It is worth seeing twice.|If you have two free hours, go and see it.|You should wait until it is on
  television.]
~ place_film: a village in {land} | a small town near {abroad} | a quiet valley | a port in {land:b} | an old
  quarter of {abroad:b}
~ his_films: two | three | most | all

= advice to a friend *3
^ [Hi|Dear|Hello] {friend.name},\n [thanks for your email|it was great to hear from you|I have just read your
  message]. [I'm sorry that you have problems.|I was {feel} when I read it.|You wrote that you need some
  advice.] You said: "{^problem.what}."
+ First of all, don't worry too much. [It has happened to me too.|Many people have the same problem.|There is
  always a solution.]
^ If I were you, I would {problem.tip}.
+ {^~add} you should {problem.tip_b}. [It really works!|It has helped me a lot.|Although it sounds strange, it
  helps.|My doctor told me that.]
+ Have you ever thought about [talking to an expert|taking a few days off|changing your routine|asking your
  family for help]? {^~opinion} it [is|could be] the best way.
+ When I had the same problem {years} ago, I [was too proud to ask for help|read a lot of books about
  it|started {hobby.ing}], and [after a month|step by step|finally] it got better.
+ You could also try {hobby.ing} or {hobby:b.ing}, because you have to [think about something else|find a
  balance|do something for yourself].
+ My {~relative} has been in this situation since {month}. {~relative_does}
+ If it doesn't get better, you should [see a doctor|speak to your parents|come and stay with me|look for
  another way].
+ Whatever you do, don't [give up|make a quick decision|believe everything you read|keep it to yourself].
+ By the way, I have [changed my job|moved to a bigger flat|passed my exam|bought a {pet}|met somebody
  special], but I'll tell you more [next time|when we meet|on the phone].
^ [I hope my advice helps you.|Let me know what you have decided.|Call me if you want to talk.|I'm sure that
  everything will be fine.|I'm thinking of you.]\n {~bye},\n {name}
~ relative: sister | cousin | colleague | neighbour | brother | aunt
~ relative_does: We often talk about it. | It is not easy, but it is getting better. | Nobody in the family
  knows what to do. | A good friend has helped a lot.

= pros and cons *3
^ [Nowadays many people talk about|There has been a lot of discussion about|Today I would like to write
  about|Everybody has an opinion about] {issue.name}. [Some people like it, others don't.|There are advantages
  and disadvantages.|I have thought a lot about this topic.]
^ On the one hand, {issue.good}. [For example, {example}.|This has changed our lives.|That is why it has
  become so popular.]
^ \nOn the other hand, {issue.bad}. [I have seen it myself.|This is a serious problem in {country}.|Not
  everybody sees that.]
+ {^~opinion} it depends on the person. [If you are careful, nothing will happen.|Some people need it, and
  some don't.|Young people see it differently from their parents.]
+ Although {issue.good}, I don't think that it is always a good thing.
+ My {~relative_b} has a different opinion. {~rel_says}
+ I read that {#30-85} per cent of people in {country} [couldn't live without it|have changed their mind about
  it|worry about it|have never tried to change anything].
+ When I was younger, I didn't think about {issue.name} at all. Since I {since}, I have seen it in a different
  way.
+ The problem is not the thing itself, but the way we use it.
+ [However,|But|Of course,|At the same time,] we shouldn't forget that [times have changed|not everybody has a
  choice|every family is different|it also creates jobs].
+ If we want to solve the problem, we should {issue.do}.
+ In {land} they have already [changed the law|found a solution|had the same discussion], and [it has
  worked|nothing has changed|people are satisfied].
^ \n[To sum up,|In conclusion,|All in all,|To conclude,] [{issue.name} can be good or bad|there are two sides
  to {issue.name}], so [the best thing is to {issue.do}|everybody should decide for himself|we have to find a
  balance]. [What do you think?|That is my opinion.|]
~ example: {friend.name}, a friend of mine, has done it for {years} | I do it almost every day | my family
  couldn't live without it | it has saved me a lot of time | in {city} it has become normal
~ relative_b: grandmother | brother | boss | neighbour | best friend | father
~ rel_says: We have argued about it many times. | We talk about it for hours and never agree. | I respect
  that, but I don't agree. | Maybe it is a question of age.
~ since: moved to {city} | had children | started to work | met {guest.name} | read a book about it | lived in
  {abroad}

= environment *2
^ [The environment is one of the biggest problems of our time.|We have only one planet.|I am worried about the
  future of our planet.|Everybody talks about the environment, but few people do something.] In {country},
  {env_bad}.
+ {^~opinion} we are responsible, because we have [used too much energy|built too many roads|produced too much
  rubbish|cut down the forests].
+ If we don't change our habits, [our children will have no clean water|it will be too late|many islands will
  disappear|the next generation will pay for it].
+ {^~add} {~env_bad}. [I have seen it with my own eyes.|It makes me sad.|When I was a child, it was
  different.]
+ There are many simple things that we can do. For example, we can {~env} and {~env}.
+ At home we {~env_home}, and since {month} we have {~env_since}.
+ However, it is not enough if only a few people do it. The government should [build more bicycle paths|make
  public transport cheaper|punish companies that pollute|teach children about it at school].
+ My company has [stopped using plastic cups|put solar panels on the roof|given everybody a bicycle|reduced
  the printing], which is a good beginning.
+ Although it costs more, I have decided to [buy only organic food|sell my car|use green energy|fly less].
+ {friend.name} says that one person can't change anything, but I don't agree, because {small}.
+ In {city} a group of [students|neighbours|old people] has {group_did}. [I joined them {~recently}.|It was in
  the newspaper.|]
^ [Let's start today!|If everybody does a little, we can save the world.|We should think about our
  children.|It is not too late to change.|Nature doesn't need us, but we need nature.]
~ env_home: have always separated the rubbish | collect the rain for our garden | never use plastic bags |
  share one car with our neighbours | don't buy bottled water
~ env_since: saved a lot of electricity | grown our own tomatoes | used only one car | stopped eating beef |
  bought everything second-hand
~ small: small steps can become big | many people together are strong | somebody has to start | our children
  copy what we do
~ group_did: planted {#2-9}00 trees | cleaned the river | started a market for used clothes | opened a café
  where they repair old things

= a person I admire *2
^ [The person I admire most is|I would like to write about|My hero is not a famous person, but] [my
  grandmother, {hero_name}|my {~hero_who}, whose name is {hero_name}|{hero_name}, my old teacher]. [Although
  she is {#48-90}, she is full of energy.|She has changed my life.|I have known her for {years}.]
+ She was born in {city:b} and grew up in a [poor|large|strict|happy] family with {num} brothers and sisters.
+ She has {~hero_done} and she has {~hero_done}.
+ When she was young, she [wanted to be a doctor|had to leave school|worked in a factory|lost her
  parents|moved to {abroad}], but she never [complained|gave up|lost her smile].
+ What I admire most is that she [always listens|is never afraid|tells the truth|helps people she doesn't
  know].
+ She has [kind eyes|strong hands|a loud laugh|grey hair], and she always wears [a {colour} scarf|{colour}
  {clothing}|old shoes|the same ring].
+ Once, when I [failed an exam|was in hospital|lost my job|broke up with somebody], she [sat with me all
  night|drove {#2-6} hours to see me|gave me the best advice of my life|cooked {dish} for me].
+ She taught me {~taught}. If I have a problem, I {ask_her}.
+ Since she retired, she has [learned to use a computer|travelled to {land}|started {hobby.ing}|written her
  memories].
+ People in {city} know her because she [worked in the {place}|speaks to everybody|has helped so many
  families].
+ We don't always agree, for example about [politics|music|money|religion], but I respect her.
^ [I hope that I will be like her one day.|I have never told her this, but I am very proud of her.|The world
  would be better with more people like her.|She is my example in life.|I want my children to know her story.]
~ hero_name: {mother.name}
~ hero_who: aunt | neighbour | first boss | English teacher | mother-in-law
~ hero_done: worked all her life | brought up four children alone | helped many poor families | learned to
  read at the age of forty | fought against a serious illness | built her own house | never told a lie | saved
  a man from the sea | planted a garden for the whole street
~ taught: that money is not everything | to be honest | to cook and to laugh | that you have to work for your
  dreams | never to judge people by their clothes | how to forgive
~ ask_her: always call her | ask myself what she would do | visit her on Sunday

= restaurant review *2
^ {^recently} [I went|we went|{partner} and I went] to "{rest_name}", a [new|small|famous|family] restaurant
  in [{city}|the centre of {city}|{city:b}]. [Several friends had recommended it.|I had read a lot about
  it.|We were celebrating my birthday.|We had booked a table for {num}.]
+ The restaurant is [in an old factory|next to the {place}|on the top floor of a hotel|in a quiet street], and
  the atmosphere is [romantic|modern|noisy|relaxed|a bit cold].
+ We had to wait {#10-50} minutes [for our table|for the menu|until somebody came], although [we had a
  reservation|it was almost empty].
+ As a starter I had {~meal_b}, which was [delicious|too salty|not bad|a nice surprise]. {^partner} ordered
  {~meal_b}.
+ The food was [excellent|even better than I had expected]: {~dish_good}.
+ [Unfortunately,|I have to say that] {~dish_bad}[ and {~dish_bad}|]. [We told the waiter.|Nobody said
  sorry.|They brought us another plate.]
+ The waiter was [very {kind}|in a bad mood|new and made many mistakes|too slow], {waiter}.
+ The wine list is [long|too short|impressive], but {wine}.
+ We paid {#35-160} {currency} for two people, which is [a fair price|too much for what we got|cheap for this
  area].
+ If you go there, you should try {dish} or {~meal_b}.
+ They also have a menu for [vegetarians|children|people who can't eat milk], which I have not seen in many
  places in {country}.
+ {^~opinion} it is a place for [couples|families|business lunches|young people], not for [children|a romantic
  evening|a quick lunch|people in a hurry].
^ [I have already booked a table for next month.|I would give it {num_stars} stars out of five.|All in all, we
  will come back.|To be honest, I don't think we will go there again.|I recommend it to everybody who has
  enough time.]
~ rest_name: The {~fadj} {~rest_noun} | Chez {guest.name} | {guest.name}'s Kitchen | La {~rest_it} | Casa
  {guest.surname} | {^colour} {~rest_noun}
~ rest_noun: Spoon | Lemon | Fork | Table | Kitchen | Oven | Pepper | Fish | Garden | Rooster | Cellar
~ rest_it: Terrazza | Fontana | Stella | Piazza | Luna | Cantina
~ meal_b: grilled vegetables | tomato soup with basil | a mixed salad | prawns with garlic | duck in orange
  sauce | mushroom risotto | lamb with potatoes | a seafood plate | goat cheese with honey | beef in red wine
  | fresh pasta with salmon | pumpkin soup
~ waiter: but he gave us a free dessert | although the place was full | and he forgot our drinks | and he knew
  everything about the menu | but I left a good tip
~ wine: the house wine is good enough | the prices are too high | nobody could explain it | we drank only
  water
~ num_stars: two | three | four

= insurance claim
^ Dear Sir or Madam,\n I am writing to report a [theft|burglary] that happened {recently} in [my flat in
  {city}|a hotel in {abroad}|{abroad}|the train to {city:b}]. [I have been insured with you for {years}.|My
  policy number is {#1000-9999}-{#10-99}.]
+ I had left [the flat|the room|my seat|the house] at about {#1-11} o'clock because I wanted to [buy some
  food|meet {friend.name}|have dinner|visit a museum].
+ When I came back {#2-9} hours later, the [door|window|lock|suitcase] was [open|broken] and {~stolen} and
  {~stolen} had disappeared.
+ The thief has also taken {~stolen}, which [I had bought in {month}|was a present from my parents|was worth
  more than {#2-9}00 euros].
+ I called the police immediately. They have [taken fingerprints|spoken to the neighbours|written a report|not
  found anything yet].
+ A neighbour, {neighbour.name} {neighbour.surname}, saw [two young men|a {man_desc} man|somebody with a
  {colour} {clothes}] who [ran down the stairs|was waiting near the {place}|drove away in a {colour:b} van].
+ {^~link} nobody was hurt, although {partner} was very {feel}.
+ The total value is about {#5-40}00 {currency}. I have kept the receipts for most of the objects.
+ I have never [made a claim|lost anything] before, and I have always paid on time.
+ Since that day, I have [changed all the locks|not slept well|bought an alarm|stayed with my {~relative_c}].
^ \n[I have attached a copy of the police report.|Please let me know which documents you need.|I would be
  grateful if you could send me the form.] [I look forward to hearing from you.|I hope to hear from you
  soon.]\n {~sincerely},\n {name} {surname}
~ man_desc: tall thin | short fat | bald | young | middle-aged | well-dressed
~ currency: euros | dollars | pounds

= my career *2
^ [I have been a|I have worked as a] {job:b.title} for {experience}, and I [still like it|have never regretted
  it|have learned a lot]. [I {job:b.work}.|I found this job by chance.|It was not my first choice.]
+ Before that I worked as a {~position.title} in {city:b}. I left because {change_job}.
+ After I had finished [school|university|my military service], I [didn't know what to do|travelled for a
  year|sent more than {#20-90} applications|helped my uncle in his shop].
+ The best thing about my job is that {~job_good}. {^~link} {~job_bad}.
+ I have had {num} different bosses. The worst one {~boss_bad}.
+ {^~opinion} it is important to have a job that [you enjoy|gives you free time|makes you grow|helps other
  people], although the salary [is not always good|matters too|could be higher].
+ My family [has always supported me|thinks that I work too much|wanted me to be a {~job.title}|is proud of
  me].
+ {^recently} I {~career_event}, which was [a big surprise|the best day of my career|not easy for me].
+ I have to use English when {~english_when}, so I [started this course|practise every day|have improved a
  lot].
+ My colleague {colleague.name} has taught me {~taught_job}.
+ If I get the chance, I will [open my own business|work abroad|become a manager|study again|move to {land}].
+ In five years I would like to {~future_job}, if [everything goes well|my health allows it|I find the right
  partner].
^ [Work is important, but it is not everything.|I wouldn't change my job for any other.|Maybe I will change my
  job one day, but not now.|What about you? Do you like your job?|I believe that you can learn something in
  every job.]
~ job_good: I meet new people every day | no day is like the other | I can help others | I can decide when I
  start | my colleagues have become my friends | I can see the result of my work
~ job_bad: I often have to work at weekends | the pay is not very good | it can be stressful | there is too
  much paper | I come home late | the holidays are short
~ boss_bad: shouted all day | never said thank you | read our emails | forgot my name | took all our ideas
~ career_event: was promoted | won a prize for my work | gave a talk in front of {#50-300} people | changed to
  another department | was sent to {abroad} for a month
~ english_when: we have visitors from {land} | I travel to {abroad:b} | we speak with the office in {abroad:b}
  | customers call from other countries
~ taught_job: to stay calm | how to say no | that mistakes are normal | everything I know about computers | to
  listen before I speak
~ future_job: lead a team | have my own office | work four days a week | teach young people | write a book
  about it

= travel story *2
^ [The most exciting journey I have ever made was|I have visited many countries, but I will never forget|The
  best trip of my life was] my trip to {land} [{years} ago|with {friend.name}|with {partner}|when I was
  {#17-29}]. [We had saved money for a year.|I had always dreamed of going there.|Nothing went as planned.]
+ When we arrived at the airport, {~travel_bad}, so we {~travel_react}.
+ The hotel [looked different from the photos|was more beautiful than we had thought|had lost our
  reservation], and the room [had no window|had a view of the sea|was full of ants|smelled of paint].
+ On the second day we [rented a car|took a local bus|walked along the coast|joined a group], although [nobody
  spoke our language|it was {weather}|the guide looked {feel}].
+ While we were {~while}, {~suddenly}. I was {feel:b}, but {friend.name} just laughed.
+ I have never seen such [a blue sea|friendly people|high mountains|big markets|old temples] before.
+ The local people have a custom that I {custom}: they {~custom_do}.
+ We tried {~strange_food}, which tasted [like chicken|better than it looked|terrible|of nothing].
+ An old {man_w} told us that [the village had been there for a thousand years|tourists never came there|we
  should not swim at night], and {~old_then}.
+ We spent the last evening {~evening}, and I {~thought}.
+ Since that trip I have [learned to travel with less luggage|wanted to go back|been in touch with the people
  we met|read a lot about {land}].
^ [If you ever have the chance, go there!|I still have the photos on my wall.|Travelling has made me a
  different person.|I would do it all again.|I have already bought a ticket for next {season}.]
~ travel_bad: our suitcases were not there | nobody was waiting for us | it was the middle of a storm | I
  noticed that I had forgotten my {~forgot} | the last bus had left
~ forgot: passport | wallet | glasses | medicine | phone
~ travel_react: slept on the floor | had to buy new clothes | took a very expensive taxi | called everybody we
  knew | waited for {#3-12} hours
~ while: having lunch | swimming | walking through the market | crossing a river | taking photos of the sunset
~ suddenly: a monkey stole my bag | the ground began to shake | it started to rain like never before |
  somebody called my name | we lost our way
~ custom: will always remember | didn't understand at first | have told everybody about
~ custom_do: never eat alone | leave their shoes in front of the house | give a present to every guest | sing
  before they start to work | drink tea {#5-9} times a day
~ strange_food: fried insects | soup with fish heads | a black egg | bread with salt and butter tea | raw fish
  with sugar
~ man_w: man | woman | fisherman | priest
~ old_then: he was right | we believed every word | invited us to dinner
~ evening: on the roof of the hotel | on an empty beach | with our new friends | in a small bar by the harbour
~ thought: didn't want to leave | thought about my life | knew that I would come back | counted the stars

= healthy living
^ [Health is the most important thing in life.|These days people don't have time for their health.|I have
  changed my life since {month}.] [I used to be {unhealthy}.|My doctor said that I had to change
  something.|Let me give you some ideas.]
+ If you want to be healthy, you should {~healthy} and {~healthy}.
+ {^~opinion} the most important thing is [to sleep enough|to eat slowly|to be happy|to move every day],
  because {why_health}.
+ I have started {hobby.ing} {times_week}, although I [hate getting up early|have a bad knee|don't have much
  time].
+ {^~add} I have {~given_up}, which was [harder than I thought|easier than I thought|the best decision of my
  life].
+ {^~link} it is difficult to change when {~difficult}.
+ My {~relative_c} has lost {#4-20} kilos since {season}. The secret is {~secret}.
+ Stress is dangerous too. People who [work too much|never laugh|sleep less than six hours] {~stress_then}.
+ Doctors say that we should drink {#2-3} litres of water a day, but [I prefer {drink}|most of us don't|I
  always forget it].
+ In {country} we eat too much {food}, and many children have never {~never_child}.
+ You don't have to {~donthave}. It is enough if you {~healthy}.
^ [Take care of your body, because you have only one.|Try it for a month and you will feel the difference.|If
  I can do it, everybody can.|Good luck and stay healthy!|Since then I have felt like a new person.]
~ unhealthy: a person who never did any sport | always tired | a heavy smoker | very stressed
~ healthy: eat five portions of fruit a day | walk for half an hour | avoid sugar and salt | sleep eight hours
  | take the stairs | cook with fresh vegetables | turn off the screen in the evening | meet friends more
  often | drink less alcohol
~ why_health: our body needs time to rest | we are what we eat | everything else depends on it | the mind and
  the body work together
~ times_week: twice a week | every morning | three times a week | on my way to work
~ given_up: given up smoking | stopped eating meat | sold my car and bought a bike | stopped drinking
  {drink:b} | thrown away all the sweets
~ difficult: you work ten hours a day | your friends eat pizza in front of you | the gym is so expensive | you
  have small children
~ relative_c: sister | boss | brother | neighbour | cousin
~ secret: very simple: less bread and more walking | a diary for every meal | never eating after seven |
  dancing in the kitchen
~ stress_then: get ill more often | have problems with their heart | forget what is really important | become
  old before their time
~ never_child: climbed a tree | cooked a meal | eaten a fresh {fruit_one} | walked to school
~ fruit_one: tomato | peach | fig | carrot
~ donthave: run a marathon | buy expensive products | stop eating chocolate | become a vegetarian

= meeting notes
^ [Hi|Dear|Hello] [all|everybody|{boss.name}|team],\n [here is a short report of|these are my notes from|I
  have written a summary of] our meeting on {day}. {colleague.name} couldn't come because {colleague.he} [was
  ill|was in {abroad}|had another appointment], so I hope it helps.
+ First, we talked about the [new office|website|summer party|budget|holiday plan]. {guest.name} has
  {~meet_done}, and everybody [was satisfied|agreed|had some questions].
+ We have decided to {~decide}. It will start in {month} if {~if_meet}.
+ {cousin.name} suggested that we should {~decide}. Some people liked the idea; however, {~but_meet}.
+ The {post} department has had [a good|a difficult|a very busy] month. Sales have [gone up|gone down] by
  {#2-19} per cent since {month:b}.
+ There have been {num} complaints about [the canteen|the heating|the printer|the parking spaces|noise in the
  open office]. {boss.name} has promised to {~promise}.
+ We still haven't found anybody for the position of {position.title}. If you know someone who is {quality},
  please tell {guest.name}.
+ {^~add} we need somebody who can {~need}. I have said that I will do it, although I {~although_me}.
+ The visitors from {land} will arrive on {day:b}. Please {~please}.
+ The next meeting will be on {day:c} at {#9-11} o'clock in room {#100-420}. [Please be on time.|Please bring
  your ideas.|Lunch will be ordered.]
^ [Let me know if I have forgotten anything.|If you have any questions, just call me.|Thanks to everybody for
  your work.|Please answer before {day:d}.]\n {~sincerely},\n {name}
~ meet_done: prepared a plan | compared three offers | spoken to the customers | written a first version |
  finished the calculation
~ decide: change the opening hours | buy new computers | train all the employees | move the meeting to the
  morning | hire two more people | use less paper | work from home on Fridays
~ if_meet: the boss agrees | we have enough money | nobody is against it | the contract is signed
~ but_meet: it would be too expensive | we don't have enough time | nobody wanted to organise it | the others
  preferred to wait
~ promise: look for a solution | speak to the owner of the building | buy a new one | answer all the emails
~ need: take care of the guests | translate the letter | book a hotel | check the list again
~ although_me: have never done it before | am quite busy | would prefer to share the work
~ please: clean your desks | prepare a short presentation | speak English on that day | wear something formal

= an unexpected meeting
^ {^recently} I [was sitting in a café|was waiting for the train|was walking through {city}|was standing in a
  long queue] when {~meet_sudden}. [At first I didn't recognise {friend.him}.|I couldn't believe my eyes.|It
  was {friend.name}, an old friend of mine.|I have known {friend.name} since we were children.]
+ We hadn't seen each other for {years}, and {friend.he} had [lost a lot of hair|become very thin|not changed
  at all|bought very big glasses].
+ Although {friend.he} was in a hurry, {friend.he} [invited me for a coffee|missed {friend.his} train to talk
  to me|sat down next to me].
+ {^friend.he} told me that {friend.he} had [moved to {land}|become a {~job.title}|opened a restaurant|got
  divorced|spent two years in {abroad}], which [surprised me|was hard to believe|explained a lot].
+ While we were talking, [it started to rain|a stranger listened to every word|the waiter brought the wrong
  cake|time passed very quickly].
+ We remembered the day when we {~remember}. We laughed so much that [people looked at us|I spilled my
  coffee|my stomach hurt].
+ {^friend.he} has never forgotten that I {~forgot_not}. I had almost forgotten it.
+ I have often asked myself why we lost contact. {^~opinion} it happened because {~lost_contact}.
+ Before {friend.he} left, {friend.he} gave me [{friend.his} phone number|an old photo|a small present|a piece
  of advice].
+ Since that day we have {~since_that}.
+ If I hadn't missed my bus, I would never have met {friend.him} again.
^ [The world is really small.|Sometimes life is better than a film.|We have promised to meet again in
  {month}.|Has something similar ever happened to you?|Old friends are like good wine.]
~ meet_sudden: somebody called my name | a stranger smiled at me | I heard a voice that I knew | someone
  touched my shoulder | a person with a huge suitcase fell over my feet
~ remember: ran away from school | painted our teacher's car | won the {sport} match | got lost in the forest
  | cooked {dish} for twenty people
~ forgot_not: lent {friend.him} my bike | helped {friend.him} with the exam | told {friend.his} parents the
  truth | broke {friend.his} guitar
~ lost_contact: we were too busy with our own lives | I moved to another city | neither of us liked writing
  letters | we had a stupid argument about money
~ since_that: written to each other every week | met {num} times | talked on the phone almost every day |
  planned a trip to {land:b}

= where I would like to live *2
^ [I have lived in {city} for {years}, but I have always dreamed of living in {land}.|If I could choose, I
  would live in {land}.|We have been looking for a new home since {month}.] [There are many reasons for
  this.|My family thinks that I am crazy.|I have thought about it for a long time.]
+ In {city} the rents have [gone up a lot|become too high|doubled], and it has become [difficult|almost
  impossible] to find {~find_home}.
+ I would like to have a house with {~house_with}, where I could {hobby.do} and {hobby:b.do}.
+ {^~opinion} a good neighbourhood should be [quiet|safe|green|friendly] and have [a good school|a market|a
  bus stop|small shops] that you can reach on foot.
+ {^~link} I would miss [my friends|the {place} around the corner|{dish}|our long summers|the noise of the
  city].
+ We have already visited {#4-20} flats. The last one {~last_flat}.
+ My {~relative} moved to {abroad} {years} ago and has never {~never_back}.
+ Although the salaries are higher there, the cost of living {~cost_living}.
+ If we find something before {month:b}, we will {~will_home}.
+ {^partner} would prefer to stay, because {~prefer_stay}. We have talked about it many times.
+ {^~add} the air is cleaner there, and {child} could play outside.
+ I have been saving money since {#2001-2011}, but it is still not enough.
^ [Who knows what the future will bring?|Home is where your friends are.|Maybe one day my dream will come
  true.|Where would you like to live?|Until then, I will enjoy what I have.]
~ find_home: a flat with a balcony | something near the centre | a place where pets are allowed | a quiet
  street
~ house_with: a big garden | a view of the sea | a room full of books | a fireplace | an apple tree in front
  of the door
~ last_flat: was so dark that we needed a lamp at noon | smelled of fish | was perfect, but somebody else got
  it | had a kitchen that was as small as a cupboard
~ never_back: come back | regretted it | learned the language | felt at home there
~ cost_living: is higher too | has risen since last year | is not much lower | depends on where you live
~ will_home: have a big party | get a dog | paint all the rooms ourselves | invite our parents
~ prefer_stay: all our friends are here | a good job is hard to find | the winters there are terrible | moving
  is stressful
""",
    BASE,
)
