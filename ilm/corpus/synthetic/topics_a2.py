"""A2: past simple and "going to", comparatives, "because", "when" and "so"; what happened, plans, simple letters."""

from ilm.corpus.synthetic.grammar import parse_grammar
from ilm.corpus.synthetic.lexicon import BASE

GRAMMAR = parse_grammar(
    r"""
~ when_past: last {~day} | last weekend | last summer | last {month} | yesterday | two weeks ago | three days
  ago | last month
~ year_ago: last year | two years ago | three years ago | last {season} | in {month} | five years ago | in
  {#2005-2012}
~ length_stay: three days | five days | a week | ten days | two weeks | a long weekend | four days | almost a
  month
~ stayed: a small hotel near the beach | a youth hostel in the centre | my uncle's house | a camping site by
  the lake | a big hotel with a swimming pool | a nice apartment | a bed and breakfast in the mountains | a
  cheap hotel next to the station | a friend's flat
~ saw: the old castle | a famous museum | the cathedral | a beautiful lake | the old market | the highest
  tower | the botanical garden | a football match | an art gallery | the harbour | the ruins | a big waterfall
  | the royal palace | an aquarium
~ souvenir: T-shirts | postcards | chocolate | a handmade bag | a small painting | a silver ring | some
  magnets | local wine | a cap | a leather belt | perfume | a wooden box
~ did: swam in the sea | walked in the old town | took a lot of photos | went shopping | visited a museum |
  ate in a good restaurant | danced all night | rented bikes | sunbathed on the beach | met some nice people |
  climbed a mountain | went to a concert | tried the local food | got up very late | played cards | made a
  barbecue | drove to the coast | had a picnic | bought presents
~ feltly: happy | tired | excited | bored | nervous | sad | surprised | hungry | scared | proud | angry |
  relaxed
~ lost: wallet | passport | mobile phone | camera | suitcase | handbag | keys | plane ticket | glasses |
  backpack
~ adj_b(base, comp): cheap / cheaper | big / bigger | quiet / quieter | old / older | clean / cleaner | warm /
  warmer | safe / safer | busy / busier | nice / nicer | modern / more modern | interesting / more interesting
  | expensive / more expensive | dangerous / more dangerous | crowded / more crowded | beautiful / more
  beautiful | noisy / noisier | friendly / friendlier
~ adj_s(base, sup): good / best | interesting / most interesting | beautiful / most beautiful | funny /
  funniest | nice / nicest | strange / strangest | surprising / most surprising | exciting / most exciting
~ film(title, kind, about): The Lost {~fnoun} / adventure film / a man who looks for his brother in the jungle
  | The Secret {~fnoun} / love story / two people who meet on a train | The Last {~fnoun} / action film / a
  police officer who wants to catch a dangerous thief | {~fadj} {~fnoun} / comedy / a family that goes on a
  very bad holiday | The {~fadj} {~fnoun} / horror film / five friends who spend a night in an old house | My
  {~fadj} {~fnoun} / romantic comedy / a woman who falls in love with her boss | {~fadj} {~fnoun}s / cartoon /
  a little {pet} that cannot find its home | The {~fadj} Doctor / drama / a doctor who works in a poor country
  | Escape from {abroad} / thriller / a journalist who knows a secret
~ fnoun: Garden | Train | River | King | Island | Letter | Mountain | House | Night | Road | Dream | Door |
  Ship | Winter | Star | Map | Wedding
~ fadj: Blue | Silent | Golden | Long | Dark | Crazy | Little | Red | Sweet | Broken | Cold | Perfect | Summer
  | White | Hidden
~ ill: a headache | a bad cold | the flu | a stomach ache | a sore throat | a toothache | a fever | a bad
  cough | back pain
~ gift: a book about {land} | a bottle of perfume | flowers | a watch | a {colour} {clothes} | concert tickets
  | a bicycle | a mobile phone | a camera | a trip to {abroad} | a necklace | chocolates
~ hour: at six o'clock | at about 8:30 | in the afternoon | at noon | at midnight | early in the morning | at
  10 o'clock | in the evening | at half past nine | at a quarter to eight
~ closing: Best wishes | Love | See you soon | Kind regards | Write soon | Take care | All the best | Yours |
  Lots of love | Hugs | Regards
~ must: arrive before nine o'clock | wear a suit | switch off the computer | answer emails quickly | be polite
  to customers | wear a badge | clean the desk every evening | write a report every {day} | call the boss when
  you are ill | use English in meetings | lock the door at night
~ mustnt: smoke in the building | eat at the desk | use social networks at work | take long breaks | listen to
  loud music | wear {~clothing} | make private calls | park in front of the door | talk loudly on the phone |
  be late
~ chore: water the plants | feed the {pet} | take out the rubbish | open the windows every morning | walk the
  dog | collect the letters | clean the kitchen | turn off the lights | buy some food | wash the dishes | lock
  the door | call my mother | iron the shirts | pay the electricity bill | change the water of the fish
~ job_dream: pilot | singer | doctor | football player | teacher | dancer | astronaut | police officer | vet |
  writer | actor | firefighter

= my last holiday *4
^ [{^when:a} I went to|I want to tell you about my holiday in|My last holiday was in] {abroad} with
  {companion}. [We stayed there for {length_stay}.|We were there for {length_stay}.|It was {nice}!|I was very
  {feltly} because it was my first time there.]
+ We travelled by [plane|train|car|bus|ship] and the [trip|journey] [was long|took {#3-14} hours|was very
  comfortable]. [I slept all the time.|I read a book.|I felt {feltly:b} when we arrived.]
+ We stayed in {stayed}[ because it was {~adj_b.comp} than the others|]. [The room was {size} and clean.|The
  people there were {kind}.|]
+ On the first day we {~did} and we {~did}.
+ We saw {~saw} and {~saw}. [I thought it was {~nice}.|It was the {~adj_s.sup} place of the trip.|I took many
  photos there.]
+ The weather was {weather}, so we {~did}. [But one day it rained.|We were lucky.|]
+ I liked the food because it was [fresh|different|delicious|cheap|very good]. I ate {food} [every day|for the
  first time|with {food:b}].
+ [In the evening|At night] we {~did} and then we {~did}.
+ One day I lost my {lost}, but [a kind {guest.man} found it|I found it in the hotel|the police helped me]. I
  was {feltly:c}.
+ I bought {souvenir} for {~family_two} and {souvenir:b} for my friends.
+ The people [were|are] {kind:b} and they [spoke English|helped us a lot|didn't speak English, so we used our
  hands].
+ {abroad} is {adj_b.comp} than {city}, but {city} is {adj_b:b.comp}.
+ [On the last day|Before we left,] we {~did}. I didn't want to go home.
^ [It was a {nice:b} holiday.|I want to go back next year.|It was the best holiday of my life!|I came home
  tired but happy.|Next year I am going to visit {land}.|Where did you go last summer?|I'll never forget that
  trip.]
~ when: {~year_ago} | last summer | last month | last {season}
~ companion: my family | {friend.name} | {partner} | my parents | some friends from work | my cousin
  {cousin.name} | my sister
~ family_two: my mother | my father | my grandmother | my neighbour | my boss | my brother | my aunt

= last weekend *3
^ [Last weekend was|My weekend was] [{nice}|very busy|a bit boring|{nice}], because [I had a lot of free
  time|{friend.name} visited me|it was my birthday|I didn't have to work|it rained all the time|I stayed at
  home].
+ On Friday evening I [came home late|was very tired|went out with my colleagues], so I [ordered a pizza|went
  to bed early|took a taxi|didn't cook].
+ On Saturday I got up {~hour} because [I wanted to go to the market|the neighbours were noisy|my {pet} was
  hungry|I had to clean the house].
+ [Then|After breakfast|Later] I went to the {place} and I bought {souvenir}. [It was on sale.|It cost {#9-90}
  euros.|I was {feltly} when I saw the price.]
+ In the afternoon {friend.name} and I {~did}. [It was {nice:b}.|We talked about our jobs.|We laughed a lot.]
+ In the evening we watched a {film.kind}. [It was called "{film.title}".|It was the {~adj_s.sup} film of the
  year.|I didn't like it because it was too long.]
+ I cooked {food} and {food:b} for {companion}. [They liked it.|It wasn't very good.|My kitchen was dirty
  after that!]
+ On Sunday I {~did}. [The weather was {weather}.|It was {weather}, so I took my {clothing}.|]
+ I visited my {~family_w} because [it was her birthday|she was ill|she lives alone|I didn't see her for a
  month].
+ When I was in the {place:b}, I met {guest.name}. [We were in the same class at school.|We had a coffee
  together.|I was very surprised.]
+ I played {sport} with my friends, but we [lost|won|stopped when it started to rain].
+ I had to [clean|wash my clothes|study for an exam|finish a report|repair my bike] too, so I didn't have time
  to {hobby.do}.
+ On Sunday night I {~did_home}.
^ [What did you do?|How was your weekend?|Now it is Monday and I am at work again.|I went to bed late.|It was
  a good weekend.|I hope next weekend is going to be better.|I needed another day to relax!]
~ did_home: read a book and went to bed | called my parents | prepared my clothes for work | listened to
  {music} | wrote some emails | watched TV until midnight

= letter to a penpal *3
^ [Dear|Hi|Hello] {penpal.name},\n [thank you for your letter|thanks for your email|I was very happy when I
  got your letter|how are you? I am fine]. [I am going to tell you about my life here.|You asked me about
  {country}.|I'm sorry I didn't write before because I was very busy.|It was nice to hear from you.]
+ I am {age} years old and I live in {city} {livewith}.
+ I [started a new job|moved to a new flat|finished my course|began to learn English] {~year_ago}[ because I
  wanted to change my life| because I needed more money|].
+ I am a {job.title}: I {job.work}. [I like it because I meet a lot of people.|It is sometimes stressful.|I
  have to get up early.]
+ I learn English because [I want to travel|I need it for my job|I love American films|I would like to live in
  {land}|my boss speaks English].
+ In my free time I like {hobby.ing}. {^when_past} I {~did}.
+ My best friend is {friend.name}. We met {~year_ago} [at school|at work|at a party|on a bus] and we [became
  friends quickly|talked for hours].
+ In {country} we [eat a lot of {dish}|have long summers|celebrate a big festival in {month}|like to
  dance|drink a lot of {drink}]. You have to try it!
+ Next {season} I am going to [visit {abroad}|learn to drive|buy a car|change my job|get married|paint my
  house|start a diet]. [I am very {feltly}.|]
+ My {~family_two_s} [had a baby|bought a house|got married|found a new job|moved to {abroad:b}] {~year_ago}.
  [We were all very happy.|We had a big party.|]
+ \n[Can|Could] you tell me about your [country|city|family|job]? [What is the food like?|Is it {adj_b.comp}
  than here?|Do you live with your family?|What do you do when you are free?]
+ If you come to {country}, you can stay in my house. I can show you {~saw_home}.
^ [I hope you write soon.|Please send me a photo.|I am looking forward to your answer.|Write me when you have
  time.|Say hello to your family.]\n {closing},\n {name}
~ family_two_s: sister | brother | cousin | best friend | neighbour | aunt
~ saw_home: the old town | the beach | my favourite restaurant | the mountains | the best market | our museums
  | a beautiful lake near here

= weather guide
^ [Welcome to {city}!|This is a weather guide for {city}.|When is the best time to visit {city}?] [The best
  time is {climate.season} because|You should come in {climate.season} because|I love {climate.season}
  because] the weather is {climate.a}[ and not too {climate:b.a}| and {climate.b}|].
+ In {climate:b.season} it is {climate:b.a} and {climate:b.b}. The temperature is about {climate:b.c} degrees.
+ In summer it is usually hotter than in {land}, so you should [drink a lot of water|wear a hat|take sun
  cream|stay in the shade at noon].
+ In winter it {winter}, so you should bring [a warm {~clothes}|{~clothing}|a good {~clothes} and
  {~clothing}|an umbrella].
+ {month:b} is the [best|hottest|coldest|driest|most beautiful|wettest] month of the year.
+ When it is {weather:d}, you can {~activity} or {~activity}.
+ When it rains, you can visit {~saw} or go to the {place}.
+ In {season:c} there is a festival, and people {~activity} and {~activity}. [Last year it was {nice}.|I went
  there {~year_ago} and I {~did}.|]
+ The fruit is [better|cheaper|fresher|sweeter] in {season:d}. You should try {dish}.
+ The hotels are cheaper in {month:c} because [there are fewer tourists|the weather is cold|the schools are
  open].
+ {^when_past} it [snowed|was very windy|was 40 degrees|rained for five days], [but that is not normal|and the
  streets were empty|so the children didn't go to school].
^ [Enjoy your trip!|I hope you like my city.|Don't forget your camera!|See you in {city}!|Come and enjoy
  it!|You are going to love it.]
~ winter: often snows | sometimes rains for days | is very cold | gets dark early | is never very cold, but it
  is windy
~ activity: swim in the sea | walk in the mountains | go skiing | have a picnic in the park | sit in a café |
  ride a bike by the river | eat ice cream | visit a museum | dance in the streets | go fishing | take a boat
  | watch a football match

= a frightening experience *2
^ [I want to tell you about the worst day of my life.|Something terrible happened to me
  {~year_ago}.|{^when_bad} I had a frightening experience.|I'll never forget that night.] I was {place_bad}
  with {companion_bad}.
+ It was {~hour} and it was [dark|raining|very cold|quiet|foggy]. [There was nobody in the street.|We were
  tired.|I wanted to go home.]
+ Suddenly [I heard a strange noise|the lights went out|a big dog ran to us|a man shouted|I saw a {colour} car
  without a driver|somebody opened the door].
+ I was so {scared} that I [couldn't move|started to run|began to cry|dropped my {lost}|forgot my phone
  number].
+ {^who} [called the police|screamed|hid behind a tree|took my hand|fell on the floor|started to laugh].
+ I tried to [call my father|find my {lost:b}|open the window|run away], but [the phone didn't work|it was
  impossible|my legs were weak|nobody heard me].
+ We waited for {#10-55} minutes. [It felt like hours.|My heart was very fast.|We didn't talk.]
+ When the police arrived, they [asked us many questions|were very {kind}|took us home|found nothing].
+ In the end [it was only a cat|it was our neighbour {neighbour.name}|it was just the wind|they caught the
  man|everything was fine].
+ After that I [didn't sleep for two days|bought a new lock|moved to another house|always carry a lamp|don't
  walk alone at night].
+ My mother was angry because [I didn't call her|I came home {~hour}|my clothes were dirty].
+ I felt {feltly} and {feltly:b} when I came home.
^ [I was lucky.|It was terrible, but now I can laugh about it.|I hope it doesn't happen again.|Now I am more
  careful.|Did something like this happen to you?]
~ when_bad: {^year_ago} | One night | Last {month} | When I was {#9-16} years old,
~ place_bad: in a forest near {city} | in an old house | on a mountain road | in a lift | in a small boat | at
  a bus station | in a hotel in {abroad} | on a train
~ companion_bad: my friend {friend.name} | my cousin {cousin.name} | two friends | my little brother |
  {guest.name} and {friend.name}
~ scared: scared | afraid | nervous | frightened
~ who: {friend.name} | my friend | a woman | one of us

= a film I liked *3
^ [{^when_past} I|Yesterday evening I|Last night {friend.name} and I] [saw|watched] [a film|a {film.kind}|a
  very good film] [called|with the title] "{film.title}". [It was {nice}.|I saw it at the cinema.|I watched it
  because my {~family_two_s} liked it.]
+ [It is about|The story is about|It tells the story of] {film.about}.
+ The main actor was {nice} and the music was [sad|beautiful|too loud|better than the story].
+ In the beginning I was {feltly} because [it was slow|I didn't understand the story|nothing happened], but
  then it got [better|very exciting|funnier].
+ My favourite part was when [they met again|the hero saved the child|they lost their {lost}|everybody danced
  in the rain|they drove to the sea].
+ [I laughed when [the old man sang|the car fell into the pool|they lost their {lost}|the boss danced]|I cried
  when [the dog died|they said goodbye|the boy found his mother|the old house burned]|I was scared when [the
  lights went out|the house burned|somebody opened the door]].
+ The end was [happy, so I came home in a good mood|sad, so we didn't talk after the film|a surprise, so I was
  excited|not very good, so I was a bit angry|beautiful, and I was happy].
+ It was [better|longer|sadder|funnier|more exciting|more interesting] than the first film, but [it was too
  long|the tickets were expensive|the actors were not so good].
+ {friend.name} didn't like it because {friend.he} [prefers comedies|fell asleep|thought it was boring|doesn't
  like violence].
+ The tickets cost {#5-15} {money} and we ate {food}. [It was expensive.|]
+ After the film we {~did_short} and talked about it.
+ I think it is the {~adj_s.sup} film of this year.
^ [You should see it!|I recommend it to everybody.|Don't miss it!|Watch it with your family.|I give it {#6-10}
  points.|What is your favourite film?|I am going to watch it again.]
~ did_short: went to a bar | had a drink | walked home | ate a pizza | took a taxi | had dinner
~ money: euros | dollars | pounds

= first day at work *2
^ [Dear|Hi|Hello] {colleague.name},\n [welcome to our company!|welcome to the {post}
  department!|congratulations on your new job!] [You start on {day}, so I want to explain some rules.|Here is
  some information for your first day.|I am going to be your colleague.]
+ You have to {~must} and you have to {~must}.
+ You [mustn't|can't|shouldn't] {~mustnt}, because [the boss doesn't like it|it is a rule|our customers don't
  like it|it is dangerous].
+ We have lunch {~hour_lunch}. The [canteen|kitchen] is on the {floor} floor and the food is
  [cheaper|better|healthier] than in the restaurant.
+ Our boss is {boss.name} {boss.surname}. {^boss.he} is {kind} but {boss.he} gets angry when people are late.
+ When I started here {~year_ago}, I was {feltly}, but my colleagues helped me a lot.
+ On my first day I [lost my {lost}|went to the wrong office|called the boss "mum"|broke the printer|was late
  because of the traffic], so don't worry!
+ Every {day:b} there is a meeting {~hour}. You should [bring your laptop|write down the important
  things|prepare some questions].
+ If you need [pens|a key|a new computer|help], ask {guest.name}. {^guest.his} desk is [near the door|next to
  yours|on the second floor].
+ You can wear [jeans|normal clothes] on Fridays, but on the other days you have to wear a {clothes}.
+ You can come {transport} because the [station|car park|bus stop] is near.
+ On {day:c} we usually go out after work. Last time we {~did} and it was {nice}.
^ [I hope you like it here.|See you on {day}!|If you have questions, call me.|Good luck!|We are happy that you
  are here.]\n {closing},\n {name}
~ floor: first | second | third | fourth | fifth
~ hour_lunch: at half past twelve | at one o'clock | between 12 and 1 | at noon

= house-sitting instructions *2
^ [Hi|Hello|Dear] {friend.name},\n [thank you for taking care of my house|thanks for your help|I am going to
  {abroad} for {length_stay}, so I need your help]. [Here are some things that you have to do.|This is my list
  for you.|Please read this.]
+ [First, please|Please] {~chore} [every day|twice a week|on {day}|when you come home].
+ Don't forget to {~chore} because [I forgot it last time|it is important|my neighbour complained about it].
+ You should also {~chore} [before you go to bed|in the morning|every {day:b}].
+ The {pet} eats {#2-3} times a day. {petname} [likes fish|is afraid of strangers|sleeps in my bed|doesn't
  like the rain|barks when people come].
+ You can [eat everything in the fridge|use my computer|sleep in my bed|invite {guest.name}|watch films], but
  please don't [smoke in the house|make a party|use the {colour} cups|touch my guitar|open the small window].
+ The keys are [under the {colour} flower pot|with my neighbour {neighbour.name}|on the kitchen table|in the
  letter box].
+ If there is a problem, call me or {neighbour.name}. {^neighbour.he} [lives next door|has another key|is at
  home all day].
+ The washing machine is old, so [don't use hot water|you have to close the door hard|use it only in the
  morning].
+ Last {season} {cousin.name} did it and {cousin.he} forgot to {~chore}, so the [plants died|kitchen was
  dirty|neighbours were angry].
+ The supermarket is [cheaper|bigger|better|nearer] than the shop on the corner, and it is open until {#7-11}
  pm.
+ I am going to come back {~back}. I'll bring you {souvenir} from {abroad}.
^ [Thank you very much!|Thanks a lot, you are a good friend.|I hope you have a nice time.|Thank you, and see
  you soon.]\n {name}
~ back: on {day:d} | on {month} {#2-28} | next weekend | on Sunday evening

= when I was a child *2
^ When I was a [child|little {boy}|kid], I lived in [a small village|{city:b}|a house near {city:b}|the
  country] with my [parents|grandparents|family]. [I was very {kind}.|We weren't rich, but we were happy.|It
  was {adj_b.comp} than {city}.]
+ I went to school {transport} every day. [It took {#10-60} minutes.|I didn't like it because I had to get up
  early.|My friends waited for me at the corner.]
+ My favourite subject was {subject_s} because [the teacher was {kind:b}|it was easy for me|I liked numbers|we
  played a lot]. I hated {subject_s:b}.
+ After school I [played {sport}|climbed trees|helped my mother|swam in the river|rode my bike|watched
  cartoons] with {friend.name} and {cousin.name}.
+ My grandmother [made {food}|told us stories|cooked {dish}|sang songs] when {we_visited}.
+ I had a {pet}. Its name was {petname}. When it died, I [cried for a week|was very sad|didn't want another
  one].
+ I was afraid of [the dark|dogs|my teacher|spiders|thunder|the sea|my neighbour], but now I am not.
+ I wanted to be a {job_dream}, but I became a {job.title}. [I don't know why.|Life is funny.|I like my life
  now.]
+ In the summer we [went to the beach|visited my uncle in {city}|slept in a tent|worked in the fields] and we
  {~did}.
+ One day I [broke a window|fell from a tree|got lost in the market|broke my arm|ate ten {food:b}], so my
  father [was very angry|took me to the hospital|didn't say a word].
+ For my {birthday} birthday I got {gift}. It was the {~adj_s.sup} present of my life.
+ There were no [mobile phones|computers] then, so we [talked more|played in the street|read a lot|wrote
  letters].
^ [I was a happy child.|It was a {nice} time.|Sometimes I miss those days.|Those years were the best years of
  my life.|And what about your childhood?]
~ boy: girl | boy
~ subject_s: maths | history | English | geography | art | music | biology | sport | chemistry | physics
~ we_visited: we visited her | I was ill | it was cold | we came home from school
~ birthday: sixth | seventh | eighth | ninth | tenth | twelfth | fifth

= plans for next year *2
^ [Next year is going to be a good year.|I have many plans for next year.|I want to tell you about my plans.]
  [First of all,|In {month}] I am going to [travel to {abroad}|look for a new job|finish my course|learn to
  drive|move to {city:b}] because {reason}.
+ I am going to save money, so I [am not going to buy clothes|am not going to eat in restaurants|have to work
  more|sold my car {~year_ago}].
+ I want to [lose {#3-12} kilos|stop smoking|eat better|sleep more], so I am going to [go to the gym|eat more
  {food}|run every morning|drink more water] {times}.
+ I'd like to learn {learn} because it is [easier|more useful|more interesting|more beautiful] than {learn:b}.
+ {^partner} and I are going to [paint the house|buy a new {thing_buy}|visit my {~family_two_s}|have a big
  party in {month:b}].
+ This year I {~did_year}, but next year I am going to do more.
+ In {season} I want to [do a course|run a marathon|go camping|see the snow|visit {land}] with {friend.name}.
+ I hope to [get a better job|earn more|meet new people|speak English well|have more free time] because
  {reason:b}.
+ My English is [not so good|better than before], so I am going to study {#1-3} hours a day. {^when_past} I
  started to [watch films in English|read the news in English].
+ Last year I wanted to {hobby.do} more, but I didn't because I was [ill|lazy|too busy|in hospital].
+ My [boss|mother|doctor|teacher] says that I should [relax|work less|study more|change my life].
^ [I hope my dreams come true.|What are your plans?|I think I can do it!|It is not going to be easy, but I am
  going to try.|Wish me luck!|I'll tell you about it next year.]
~ reason: I want to change my life | my job is boring | I need it for my work | my friend lives there | it was
  always my dream | I am not happy with my salary | I want to help my family | I love new places
~ times: every day | three times a week | twice a week | every weekend
~ learn: Spanish | the guitar | Italian | the piano | French | photography | Japanese | yoga | German |
  cooking
~ thing_buy: car | sofa | television | fridge | computer | bed | washing machine
~ did_year: visited {~abroad} | read ten books | started to {hobby:b.do} | found a good friend | learned to
  cook | didn't have a holiday | changed my job

= comparing two places *2
^ I [was born|grew up] in {city:b}, but now I live in {city}. [They are very different.|I moved {~year_ago}
  because of my [job|studies|family].|I am going to compare these two cities.]
+ {city} is {adj_b.comp} and {adj_b:b.comp} than {city:b}.
+ The people in {city:b} are {kind} because they [have more time|know everybody|are not so busy]. In {city}
  people [run all the time|don't say hello|work too much].
+ There are more [shops|jobs|cinemas|cars|parks|restaurants|universities] in {city} than in {city:b}, so [life
  is more interesting|young people move there|the traffic is worse].
+ Flats are [cheaper|more expensive|bigger|smaller|older] in {city}. I pay {#3-12}00 {money} for {num} rooms.
+ The weather in {city:b} is [better|worse|warmer|colder|wetter]. {^when_past} it was {weather} there.
+ When I lived in {city:b}, I went to work {transport}, but here I have to [take two buses|drive for an
  hour|get up at five].
+ I miss [the food|my family|my old friends|the sea|the quiet evenings], so I visit {city:b} [every month|in
  the holidays|when I can].
+ I like {city} because I can {hobby.do} and {hobby:b.do} there.
+ {^when_past} my friend {friend.name} visited me and {friend.he} [didn't like the noise|wanted to
  stay|thought it was {nice}].
+ The best restaurant is in {city}. We ate {dish} there and it was [cheaper than at home|very good|the best in
  {country}].
^ [I like both cities.|I prefer {city} because there is always something to do.|I think {city:b} is a better
  place for children.|I am going to go back when I am old.|Which city do you prefer?]

= at the doctor
^ [Dear|Hi|Hello] {boss.name},\n I am sorry but I [can't come to work today|couldn't come to the meeting
  {~when_short}|am not going to come to the party] because I have {ill}.
+ It started {~when_short} when I [was at the {place}|ate {food}|played {sport} in the rain|came home from
  work].
+ I didn't sleep last night because I [had {~ill} too|coughed all the time|felt very bad|was hot and cold].
+ I went to the doctor {~hour} and [he|she] [gave me some medicine|said it was not dangerous|looked at my
  throat|asked me a lot of questions].
+ I have to [stay in bed|drink a lot of tea|take pills three times a day|rest] for {length_ill}.
+ I can't [eat {food:b}|speak|walk|read long emails], but I can [answer emails|work a little at home|call the
  customers].
+ {colleague.name} can [do my work|write the report|answer my phone|meet the customers] because {colleague.he}
  knows everything about it.
+ {^partner} [made soup for me|went to the pharmacy|is taking care of me|had the same illness last week].
+ The report is on my desk. I finished it {~when_short}.
+ I should [eat healthier food|stop smoking|wear warmer clothes|do more sport] because I am often ill in
  {season}.
^ [I hope I can come back on {day}.|I am sorry for the problems.|Thank you for understanding.|I'll call you
  tomorrow.]\n [Best wishes|Kind regards|Regards|Best regards|Yours],\n {name}
~ length_ill: two days | three days | a week | four or five days
~ when_short: yesterday | on {~day} | last night | two days ago | this morning

= a news story
^ [{^when_news} a fire started|{^when_news} there was an accident|{^when_news} two men robbed a
  bank|{^when_news} a storm destroyed some houses] in {city:b}. It happened {~hour}.
+ {neighbour.name} {neighbour.surname}, {neighbour.age}, was [in the kitchen|in {neighbour.his} car|on
  {neighbour.his} bike|near the window] when {neighbour.he} heard [a loud noise|an explosion|people who
  shouted].
+ "I was very {scared}," {neighbour.he} said. "I [called the police|ran out of the house|took my children and
  left|didn't understand what happened]."
+ [Luckily, nobody died.|Three people went to hospital.|{#2-9} people were hurt, but they are better now.|A
  {pet} saved the family.]
+ The police came after {#5-50} minutes and [closed the street|asked for help|found a {colour} car|looked for
  the men all night].
+ The firefighters worked for {#2-9} hours because it was {weather} and the streets were [narrow|full of
  cars|wet].
+ They lost {~news_lost} and {~news_lost}, so the neighbours gave them [clothes|money|food and a bed].
+ The {place} was closed for {length_ill} because [it was not safe|there was no light|the roof was broken].
+ It was the {adj_news} accident in the city because {~news_why}.
+ The mayor said that they are going to [build a new bridge|buy more fire trucks|help the families|put more
  police in the streets].
^ [The police are still looking for answers.|If you saw something, please call the police.|Everybody is safe
  now.|The family is going to live with friends.]
~ when_news: Yesterday | Last night | On {day} | This morning | Last {day}
~ news_lost: their furniture | their car | all their clothes | their documents | the roof of the house | their
  computer
~ adj_news: worst | biggest | most terrible
~ news_why: a driver was drunk | the road was wet | somebody forgot to turn off the gas | the old houses are
  made of wood | the driver was tired

= a party report
^ [{^when_party} was my {~family_two_s}'s wedding.|{^when_party} I had a party because it was my
  birthday.|{^when_party} we had a surprise party for {friend.name}.] There were {#12-150} people [in a
  restaurant|in our house|in a hotel|in the garden] and it was {nice}.
+ I wore a {colour} {clothes} and {partner} wore {colour:b} {clothing}. [I bought it {~when_short}.|It was
  [nicer|more expensive|longer] than my old one.|]
+ We ate {food}, {food:b} and {dish}. [It was the {~adj_s.sup} food of my life.|My mother cooked for two
  days.|I ate too much, so I felt bad.]
+ The music was [too loud|great|old], but we danced until {#1-5} o'clock. {guest.name} [sang a song|danced on
  a table|fell asleep on the sofa|played the guitar].
+ We gave {gift} and {gift:b}.
+ I met {cousin.name}, because {cousin.he} came from {abroad}. [I didn't see {cousin.him} for {#3-15}
  years.|We talked all night.]
+ It started to rain when [we cut the cake|the music began|my uncle made a speech], so everybody ran into the
  house.
+ The cake was {colour:c} and very big, and the children ate it in ten minutes.
+ My {~family_w} cried because [it was so beautiful|she was happy|the speech was very nice].
+ The neighbours [called the police|came to the party too|were angry] because we were noisy.
+ The next day I was {feltly}, so I slept until noon.
^ [It was a party to remember.|I took {#60-300} photos.|I am going to send you the photos.|I had a great
  time!|Next time you have to come too!|We were all tired and happy.]
~ when_party: {^when_short} | Last Saturday | Last {month}
~ family_w: mother | grandmother | aunt | sister

= a new phone *2
^ [{^when_past} I bought a new {gadget}.|I want to tell you about my new {gadget}.|My old {gadget} broke
  {~when_short}, so I bought a new one.] [I was very {feltly}.|It was on sale.|It was a present from
  {partner}.|I needed it for my work.]
+ It cost {#60-700} {~money} because [it is the newest model|it was second-hand|I bought it on the
  Internet|the shop had a sale].
+ It is {adj_g.comp} and {adj_g:b.comp} than my old one. [I love it!|The colour is {colour}.|My friends like
  it too.|]
+ I use it when I [travel|am at work|can't sleep|{hobby.do}|wait for the bus]. {^when_past_b} I used it for
  {#2-9} hours.
+ My {~family_two_s} has the same one, but it is {~colour}. {^friend.name} has an older one.
+ The battery is [better|worse] than before. It works for {#4-30} hours.
+ The first day I couldn't use it because [I didn't understand the book|the instructions were in Chinese|the
  battery was empty|I forgot the password].
+ I lost my old {gadget} when I [was at the {place}|took a taxi|went to {abroad}|danced at a party]. I looked
  for it all night.
+ I am going to [sell the old one|give the old one to my mother|buy another one for {child}|buy a {colour:b}
  bag for it].
+ {^partner} thinks that it was too expensive, but I [worked a lot|saved money for months|didn't go on
  holiday], so I [can buy what I want|am happy].
+ I don't like [the screen|the colour|the sound] because it is [too dark|not nice|not clear|different from the
  photo].
+ You can buy it {~where_buy}. I saw it there {~when_short}.
^ [I think it is the best thing that I bought this year.|Do you have one?|You should buy it too.|I hope it
  works for a long time.|I can't live without it!|What do you think?]
~ gadget: mobile phone | laptop | tablet | camera | smartphone | notebook | MP3 player
~ adj_g(comp): faster | lighter | bigger | smaller | nicer | cheaper | easier to use | more modern | more
  expensive | thinner | stronger
~ when_past_b: Yesterday | Last Sunday | Last week | Two days ago
~ where_buy: in the shopping centre | in the shop next to the {place} | on the Internet | in the market in
  {city} | at the airport

= my school days and studies
^ I [studied|started to study] {subject} in {city:b} {~year_ago}. [It was {~nice}.|I chose it because my
  father wanted it.|It was difficult, but I liked it.|I was {feltly} on the first day.]
+ I lived with {num} other students in a {size} flat. [We shared everything.|The kitchen was always dirty.|We
  were good friends.|It was {adj_b.comp} than my parents' house.]
+ The classes started {~hour} and I was late because [I went to bed late|the bus was slow|I didn't hear the
  alarm|I lived far away].
+ The best teacher was {boss.name} {boss.surname} because {boss.he} [told funny stories|helped
  everybody|explained things well|never gave us homework].
+ I had to [work in a bar at night|borrow money|read {#20-60} books|learn everything by heart], so I was often
  tired.
+ I met {friend.name} in the library when {friend.he} [asked me for a pen|fell asleep|took my book|spilled
  coffee on my bag].
+ One exam was more difficult than the others. I studied for {#5-30} days and I [passed it|failed it two
  times|got the best mark].
+ At the weekend we {~did} and {~did}.
+ We didn't have much money, so we ate {food} and {food:b} every day.
+ When I finished, I [looked for a job for {#3-14} months|went to {abroad}|cried because it was over|moved to
  {city}].
+ Now I am a {job.title} and I use [everything|nothing|only a little] of the things that I learned.
^ [I miss that time.|I am going to study again when I have time.|It was the best time of my life.|I learned a
  lot about life.|What did you study?]
""",
    BASE,
)
