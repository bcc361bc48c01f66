"""A1: simple present, "can" and "there is", short sentences joined by "and" or "but"; the learner and what is near."""

from ilm.corpus.synthetic.grammar import parse_grammar
from ilm.corpus.synthetic.lexicon import BASE

GRAMMAR = parse_grammar(
    r"""
~ wake: 5 o'clock | 5:30 | six o'clock | 6:15 | half past six | 6:45 | seven o'clock | 7:15 | half past five |
  quarter to seven
~ start: eight o'clock | 8:30 | half past eight | nine o'clock | 9:15 | quarter past eight
~ noon: twelve o'clock | 12:30 | half past twelve | one o'clock | 1:00 pm
~ leave: five o'clock | 5:30 pm | six o'clock | half past five | 6 pm | four o'clock | quarter past five
~ evening: seven o'clock | eight o'clock | 7:30 pm | half past seven | 8 pm | quarter to eight
~ bed: ten o'clock | half past ten | 11 pm | eleven o'clock | 10:30 pm | midnight | quarter to eleven
~ room: kitchen | living room | bathroom | bedroom | garden | dining room | garage | balcony
~ thing: table | chair | sofa | bed | lamp | TV | computer | desk | mirror | clock | bookshelf | carpet |
  cupboard | plant | fridge | picture | armchair | washing machine | radio
~ things: books | windows | cushions | photos | shelves | flowers | boxes | cups | vases | bottles |
  newspapers | candles
~ office: desks | chairs | computers | printers | telephones | lamps | keyboards | headphones | pens | tables
  | notebooks | whiteboards | bookcases | cupboards | windows | pencils | folders | plants | headsets |
  scanners | files | mouse pads
~ spot: next to the door | on the desk | under the table | near the window | in the cupboard | on the wall |
  in the corner | between the desks | behind the door | on the floor | in front of the window | on the second
  floor
~ animal: lion | tiger | elephant | giraffe | monkey | bear | penguin | zebra | snake | crocodile | kangaroo |
  panda | dolphin
~ do: play [football|cards|games|music] | dance | sing | eat cake | watch a film | swim in the pool | talk and
  laugh | listen to music | cook together | have a barbecue | play with the children
~ meal: soup | grilled chicken | fish and chips | a green salad | tomato pasta | a cheese sandwich | a
  hamburger | rice with vegetables | steak and potatoes | mushroom pizza | an omelette | roast beef | fried
  noodles | tomato soup
~ dessert: ice cream | chocolate cake | apple pie | fruit salad | lemon cake | a banana | cheesecake |
  strawberries and cream
~ often: always | usually | often | sometimes | never
~ price: {#5-95} dollars | {#5-95} euros | ${#5-95} | {#5-95} pounds | €{#5-95} | $ {#5-95}.99
~ bye: See you soon | Bye | Best wishes | See you | Bye bye | Kisses | Love | Take care | Regards | Your
  friend | Goodbye

= introduce yourself *4
^ [Hi|Hello|Good morning|Hi everyone|Hello everyone|Hi there|Hello my friends|Hi teacher|Good evening]! My
  name is [{name}|{name}|{name} {surname}]. [I am {age} years old.|I am {age}.|I am {age} years old.]
+ I [am|come] from {city}, {country}.
+ I am a {job.title}. [I {job.work}.|I {job.work} and I like my job.|I {job.work}. It is
  [hard|interesting|good|not easy].]
+ {family}
+ I live {livewith}.
+ I speak {language} and a little English. [My English is not very good.|I want to speak English well.|]
+ In my free time I like {hobby.ing} and {hobby:b.ing}.
+ My favourite colour is {colour}. [And my favourite number is {#3-99}.|]
+ My favourite food is {food}[ and I like {drink}|]. [I don't like {food:b}.|]
+ I have [a|a {colour:c}] {pet}. [His|Her] name is {petname}.
+ My birthday is [in {month}|on {month} {#1-28}].
+ My best friend is {friend.name}. {^friend.he} is {friend.age} years old. [{^friend.he} is very {kind}.|]
+ My [house|flat] is {size}[ and it is near the {place}|, but I like it].
+ [Nice to meet you!|What is your name?|And you?|Where are you from?|How old are you?|What do you do?]
^ [Bye!|See you soon!|Bye bye.|Thank you.|Nice to meet you.|See you!|Have a nice day!|Write me soon.|Please
  write to me.]

= my family *3
^ [This is my family.|Hello, I want to talk about my family.|I have a [big|small|nice] family.|Let me
  introduce my family.] [There are|We are] {#4-9} people[ in my family|].
+ [My father's name is {father.name}.|My father is {father.name}.] He is {father.age} years old. [He
  {~job.works}.|He is a {~job.title}.|He is {kind}.|He likes {~hobby.ing}.]
+ My mother is {mother.name}. She is {mother.age}. [She is a {~job.title}.|She {~job.works}.|She has
  {hair}.|She likes {~food}.]
+ I have [one|a] brother. His name is {brother.name}[ and he is {brother.age} years old|]. [He can
  {~sport_can}.|He likes {~sport}.|He is [tall|short|thin|strong] and {~kind}.]
+ My sister is {sister.name}. [She is {sister.age} years old.|She is {~kind}.|] [She studies {subject}.|She
  lives in {city:b}.|She loves {~hobby.ing}.]
+ My grandmother is {grandmother.age} years old. [She cooks very well.|She lives with us.|She lives in a small
  village.|Her cakes are very good.]
+ My grandfather is {grandfather.age}. He is [old|very old], but he is [strong|happy|very funny|active]. He
  has {~eyes} eyes.
+ My uncle {uncle.name} {~job.works}. [He has a {size} house.|He has a {colour} car.|He is funny.|He is
  single.]
+ My aunt {aunt.name} [has|lives with] {num} [cats|dogs|children]. [She is very {~kind}.|Her house is
  {size:b}.|]
+ My cousin {cousin.name} is {#3-30} years old. {^cousin.he} [plays {~sport}|has {~hair}|is {~kind} and
  {~kind}].
+ We have a {pet}[ too|]. It is [{colour}|{colour} and white|big|small|funny]. Its name is {petname}.
+ On {day}s we [eat|have lunch|have dinner] together. [We eat {~food} and {~food}.|My mother cooks {~food}.|]
+ We live in a [house|flat] in {city}. [It has {num} rooms.|It is {size}.|It is near the {place}.]
^ [I love my family.|We are a happy family.|My family is very important to me.|I love them very much.|They are
  great.]

= daily routine *4
^ [I always|I usually|Every day I|From Monday to Friday I] get up at {wake}.
+ [First I|Then I] [have|take] a shower and [get dressed|brush my teeth|wash my face].
+ I have breakfast [at home|in the kitchen|with {partner}|in a café]. I eat {~breakfast} and I drink
  {~morning_drink}.
+ I [have|drink] {~morning_drink} and I [read the news|listen to the radio|watch TV|read my emails].
+ I go to [work|work|school|my English class] {transport}. It takes {#10-55} minutes.
+ I start at {start}. I {job.work}.
+ I have lunch at {noon} with my [colleagues|friends|boss]. [I eat {~food} and {~food}.|I like {~food}.|]
+ In the afternoon I [write emails|answer the phone|have meetings|study English|work on the computer|talk to
  customers].
+ I [finish work|go home|leave the office] at {leave}.
+ After work I [go to the gym|go shopping|walk in the park|pick up my children|play {sport}|meet
  {friend.name}].
+ In the evening I [cook dinner|make dinner|help my mother] and I [watch TV|read a book|clean the kitchen|do
  my homework].
+ I have dinner at {evening}[ with my family| with my parents| alone| with my friends|].
+ I {~often} [watch a film|surf the Internet|play computer games|call my friends|listen to {music}] before
  bed.
+ On {day} I {~often} {hobby.do}.
+ At the weekend I get up late and I {hobby:b.do}.
^ I go to bed at {bed}. [Good night!|I am tired.|That is my day.|I like my life.|I sleep well.|And you?|It is
  a long day.|]
~ sport_can: play {~sport} | swim | run fast | drive | speak English | ride a horse | cook | sing very well |
  play the drums

= describe your home *3
^ [I live in a {size} [house|flat|apartment].|My [house|flat|apartment] is {size}.|This is my home.] [It is in
  {city}.|It is in the centre of {city}.|It is near the {place}.|It is on {~street} Street.]
+ [I have|There is|It has] a kitchen, a bathroom, a living room and {~bedrooms}.
+ [My favourite room is the|I like the] {room}. [It is {size:b}.|It is {colour:r} and white.|There I
  {hobby.do}.|I relax there.]
+ In the [living room|kitchen|bedroom] there is a {thing}, a {thing:b} and [a {thing:c}|{num:b} {things}].
+ The {thing:d} is {~spot_home}.
+ There are {num:c} {things:b} {~spot_home}. [They are {colour:b}.|]
+ In my bedroom I have a [big|small|new|comfortable] bed and a {colour:d} {thing:e}.
+ [I don't have|There isn't] a [garden|garage|balcony|swimming pool], but there is a {nice} park near my
  house.
+ The [walls are|door is] {colour:e}.
+ My neighbours are {kind}. [They have {num:d} children.|They have a {pet}.|Their names are {guest.name} and
  {neighbour.name}.]
+ I live {livewith}.
+ We have a {pet:b} [in the house|in the garden]. It sleeps [on the sofa|under the table|in the kitchen|on my
  bed].
+ [My street is|It is a] [quiet|noisy|safe|busy|long][.| street.] There [is a {~place}|are many shops|is a bus
  stop] near here.
^ [I like my home.|I love my house!|It is a {nice:b} place.|I am happy here.|Come and visit me!|What is your
  home like?]
~ bedrooms: one bedroom | two bedrooms | three bedrooms | four bedrooms
~ street: Main | Green | Garden | Park | Station | Church | King | Flower | River | Market | School | Hill
~ spot_home: next to the window | on the wall | near the door | under the window | in the corner | on the
  table | behind the sofa | next to the bed | in front of the TV | between the door and the window

= my town *3
^ I live in {city}. It is a {size} city in [the north|the south|the east|the west|the centre] of {country}.
+ There are [two|three|many|some|a lot of] {~place_n}[ and {~place_n}|].
+ There is a {place} and a {place:b}, but there isn't a {place:c}.
+ My favourite place is the {place:d}. [It is {nice} and quiet.|I go there on {day}s.|I go there with
  {friend.name}.|It is next to the {place:e}.]
+ The {place:f} is [near|next to|opposite|in front of|behind] the {place:g}.
+ The weather is [hot|warm|sunny|dry] in summer and [cold|cool|wet|windy] in winter. [I like {season}.|I don't
  like winter.|]
+ The people are {kind} and {kind:b}.
+ You can [eat {~food}|visit the {place:h}|see old houses|go to the beach|walk by the river|take nice photos]
  here.
+ The food is {nice:b}. People eat {dish}. [I love it!|It is my favourite food.|It is not expensive.]
+ I go to the centre {transport}. [The buses are [old|new|cheap|slow].|There is a lot of traffic.|It is not
  far.]
+ On Saturday I go to the {place:i} and I buy {~food} and {~food}.
+ I [like|don't like] the [shops|streets|noise|traffic|parks|old houses] here.
+ [In the evening|At night] the city is [quiet|noisy|beautiful|full of people|full of lights].
^ [I love my city!|Welcome to {city}!|Please visit {city}.|I like it here.|It is a good place to live.|And
  your city?]
~ place_n: cinemas | parks | museums | restaurants | shops | schools | hotels | bridges | churches | trees |
  banks | cafés

= inventory
^ [Hi|Hello|Dear] {colleague.name},\n [here is|this is] [the|our|my] list for the [office|{post} office]:\n
  There are {~many} {office} and {~many} {office:b}.
+ There is [one|a] {~thing} {~spot}.
+ We have {~many} {office:c} and {~many} {office:d}.
+ There are {~many} {office:e} {~spot}. [They are {~colour}.|They are new.|They are old.|]
+ There aren't any {office:f}. [We need {~many}.|Can you buy some?|]
+ There is a [big|small|new|{colour}] {~thing} {~spot}, but there isn't a {~thing}.
+ How many {office:g} do you have?
+ We need {~many} new {office:h}. [The old ones are bad.|They cost {~price}.|]
+ My desk is {~spot}.
+ The [room is|office is] {size}[ and {colour:b}|]. It has {~many} windows.
^ [Thanks|Thank you|That is all|Have a nice day|See you tomorrow].\n {name}
~ many: two | three | four | five | six | seven | eight | ten | eleven | twelve | thirteen | fifteen |
  eighteen | twenty | thirty | forty | fifty | one hundred

= party invitation *2
^ [Hi|Dear|Hello|Hey] {friend.name},\n [it is my birthday on {day}.|my birthday party is on {day}.|I have a
  party on {day}.] [I am {#18-60} this year.|Please come!|Can you come?|I am so happy!]
+ The party is at [my house|my flat|the {place}|a restaurant|my parents' house] in {~street} Street. It starts
  at {evening}.
+ There is [a lot of|] food: {food}, {food:b} and {food:c}. [To drink there is {drink}.|We have {drink} and
  {drink:b}.|]
+ We can {do} and {do:b}.
+ {guest.name} and {cousin.name} [come too|are there too|can come]. [They are {kind}.|You know them.|]
+ Please bring [some|] {~drink} [and {~pack}|and a friend|and your guitar|and some music].
+ My mother [makes|cooks] a {size} cake. It is a chocolate cake.
+ I like presents! [I want a {~clothes}.|I want a book.|I need a new {~thing}.|My favourite colour is
  {colour}.]
+ You can come {transport}. It is [near the {~place}|not far].
+ Wear [a {~colour} {~clothes}|your {~colour} {~clothes}|something {~colour}].
+ [Please call me.|My phone number is {#200-999} {#1000-9999}.|Write me an email.|Tell me today, please.]
^ {bye},\n {name}

= shopping list *2
^ [Hi|Hello] {friend.name},\n [can you go to the supermarket for me?|please go shopping for me.|can you help
  me?] [We need|I need|Please buy] these things[ for the party| for dinner| for this week| for Sunday|]:\N -
  {~pack}\N - {~many_few} {~grocery}\N - {~pack}\N
+ - {~many_few} {~grocery}\N
+ - {~pack}\N
+ - {~pack}[ (big)| (small)| (not expensive)|]\N
+ - {~many_few} {~grocery}\N
+ - {drink}\N
^ [Don't buy {food:b}, we have it at home.|We don't need {food:b}.|I have {~food} and {~food} at home.|The
  supermarket is next to the {place}.]
+ [The money is on the table.|It is about {~price}.|The {~grocery} are cheap there.|Please buy good meat.]
+ [My mother|My sister|My brother|{^child}] likes {food:d}[ very much|], but I like {food:e}.
^ [Thank you|Thanks|Thanks a lot|Thank you very much]!\n {name}
~ many_few: two | three | four | six | ten | twelve | two kilos of | one kilo of | a bag of | some

= describe a friend *3
^ [My best friend is|This is my friend|I have a good friend. {^friend.his} name is|My friend's name is]
  {friend.name}. {^friend.he} is {friend.age} years old.
+ {^friend.he} [is from|lives in|comes from] [{city}|{city:b}|{abroad}].
+ {^friend.he} has {hair} and {eyes} eyes.
+ {^friend.he} is [tall|short|not very tall|thin|strong|very tall] and {kind}. [{^friend.he} is {kind:b}
  too.|]
+ {^friend.he} is a {~job.title}. [{^friend.he} likes {friend.his} job.|{^friend.he} doesn't like {friend.his}
  job.|{^friend.he} works every day.|]
+ Today {friend.he} is wearing a {colour} {clothes} and {colour:b} {clothing}.
+ {^friend.he} likes {hobby.ing}, but {friend.he} doesn't like {hobby:b.ing}.
+ {^friend.he} can {~sport_can} [and|but] {friend.he} can't {~sport_can}.
+ {^friend.his} favourite [food|dish] is {food}. [{^friend.he} eats it every day.|I like it too.|I don't like
  it.|]
+ {^friend.he} has a {pet}. [Its name is {petname}.|It is {colour:c}.|]
+ {^friend.he} [is married|is single|is not married|has one child|has two children|lives alone|lives with
  {friend.his} parents].
+ We [go to the {place}|play {sport}|study English|have lunch|drink coffee] together [on {day}s|every
  week|every day].
+ {^friend.he} [speaks|can speak] English [very well|a little|and {language}].
+ {^friend.his} [house|car|flat] is {size:b} and {colour:d}.
^ [I like {friend.him} very much.|{^friend.he} is a good friend.|{^friend.he} is my best friend.|We are good
  friends.|I love my friend!]

= clothes shop *2
^ [Hello|Hi|Dear {friend.name}|Good morning],\n I [want|need|would like] to buy [some clothes|a {clothes}|new
  clothes|a present for {partner}]. [I like|My favourite colour is] {colour}.
+ The {colour:b} {clothes:b} is {~price}. [It is expensive.|It is cheap.|It is on sale.|I like it very much.]
+ The {clothing} are {~price}[ and the {clothing:b} are {~price}|]. [They are {colour:c}.|They are
  comfortable.|They are too expensive.]
+ Do you have [this {clothes:c}|this {clothes:d}] in {~colour}?
+ My size is [small|medium|large|{#36-46}|XL]. [The {clothes:e} is too [big|small|long|short].|]
+ I am wearing a {~colour} {~clothes}, {~colour} {clothing:c} and a {~clothes}.
+ The shop [is in {~street} Street|is next to the {place}|opens at {start}|is closed on {day}].
+ I don't like {clothing:d}. I [never|don't] wear them.
+ {friend.name} likes {colour:d} {clothing:e}. {^friend.he} [always wears a {~clothes}|has {num} pairs|buys
  them every month].
+ In winter I wear a {~clothes} and a {~clothes}. In summer I wear [shorts|a T-shirt|a light dress|sandals].
+ [Can I pay by card?|How much is it?|Where is the changing room?|Is it cotton?|Is it for women?|Can I try it
  on?]
^ [Thank you|Thanks|Thank you very much|Bye].\n {name}

= food and restaurant *2
^ [I like food!|I love eating.|My favourite restaurant is in {city}.|Let's talk about food.] [I like|I love|I
  often eat] {food}, {food:b} and {food:c}.
+ I don't like {food:d}[ and I don't drink {drink:d}|]. [It is not good.|It is bad for me.|]
+ For breakfast I have {~breakfast} and {~morning_drink}.
+ For lunch I usually eat {~meal}[ and {~dessert}|]. [It costs {~price}.|]
+ For dinner we eat {~meal} [at home|with the family|at {evening}].
+ In {country} people eat {dish}. It is [very good|delicious|very hot|cheap|easy to cook].
+ The restaurant is next to the {place}. [It is {size}.|It is not expensive.|It is open every day.] The
  waiters are {kind}.
+ I always [eat|order|have] {~meal}. {^partner} [always|usually] [eats|orders|has] {~meal}.
+ The dessert is {~dessert}. It is {nice}. [It is {~price}.|]
+ I can cook {~meal}. It is [easy|not easy|my favourite dish]. I need {~grocery}, {~grocery} and {~food}.
+ My {~family_member} [cooks|makes] very good {~food}.
+ I drink {num} cups of [tea|coffee] a day.
+ Fruit is healthy. I eat {~grocery} every day[, but I like chocolate too|].
^ [I am hungry now!|Do you like {food:e}?|Enjoy your meal!|What is your favourite food?|I love food.|What do
  you eat?]
~ family_member: mother | father | sister | brother | grandmother | aunt | uncle | cousin

= what I can do *2
^ [My name is {name} and I can do many things.|I am {name}. I like {hobby.ing} very much.|Hello, I am {name}.
  I am {kind} and {kind:b}.]
+ I can {~sport_can}, but I can't {~sport_can}.
+ I can speak {language}[ and a little English|, English and a little French|].
+ I can use a computer and I can [write emails|make tables|send faxes|type fast].
+ I am good at {~hobby.ing}. I {~often} {~hobby.do} [on {~day}s|after work|with my friends|in the morning].
+ My {~family_member} can {~sport_can}. [I can't!|I can too.|It is difficult for me.]
+ I [want|would like] to learn to [drive|cook|swim|ski|dance|play the violin|ride a horse|speak Spanish].
+ I can work on {~day} and {~day}, but I can't work on {~day}.
+ My {~family_member} is a {~job.title}. [My {~family_member} {~job.works}.|I want to be a {~job.title} too.|]
+ I play {~sport} {~times}. [It is fun.|It is good for my health.|My team is very good.|We never win!]
+ I like {~music}[ and {~music}|], but I don't like {~music}.
+ I study English {~times}. [My teacher is {~kind}.|My class is at {evening}.|It is difficult, but I like it.]
+ I [like|don't like] [early mornings|Mondays|big parties|the rain|my phone|cold water].
^ [What can you do?|Can you {~hobby.do}?|Thank you for reading.|Do you want to be my friend?|That is all about
  me.]
~ times: every day | once a week | twice a week | three times a week | on Saturdays | every morning | every
  evening

= weather and seasons
^ [Hi|Hello] {penpal.name}!\n [How are you?|How is the weather in {~land}?] In {city} it is [{climate:t.a} and
  {climate:t.b}|{climate:t.a}] today. The temperature is {climate:t.c} degrees.
+ My favourite season is {climate.season}. It is {climate.a} and I can {~hobby.do}.
+ In {climate:b.season} it is {climate:b.a} and I [wear a {~clothes}|drink {~drink}|eat {~food}|stay at
  home|go to the park|{hobby.do}].
+ [It is usually|The weather is] {climate:c.a} and {climate:c.b} in {climate:c.season}.
+ I don't like {weather:c} weather. I [stay in bed|watch TV|read a book|drink tea|am sad] when it is
  {weather:c}.
+ [In summer the trees are green and the days are long.|In autumn the trees are red and yellow.|In winter the
  days are short and the nights are long.|In spring there are many flowers.]
+ The children play [in the snow|in the garden|on the beach|with a ball|in the street].
+ My {~family_member} is wearing a {~colour} {~clothes} and {~clothing} today.
+ Now I am [at home|in the {place}|in the office|in my room]. I am [drinking {~drink}|looking out of the
  window|listening to {~music}|eating {~food}].
+ It is [good|great|bad] weather for {~hobby.ing}.
+ [Take your|Don't forget your] [umbrella|{~clothes}|hat|sunglasses]!
^ [How is the weather in your country?|What is your favourite season?|Do you like the rain?]\n [{bye},|]
  {name}

= at the zoo
^ [Today I am|We are|Today my family is] at the zoo in {city} with {friend.name}. [It is {weather} and we are
  happy.|There are many people.|It is a {nice} day.]
+ There is a {animal} and there are {num} {animal:b}s.
+ The {animal:c} is {size} and {colour}. It is eating [meat|fruit|fish|grass|bananas|leaves].
+ My favourite animal is the {animal:d}. [It is {size:b}.|It can [run fast|swim|jump|climb trees].|It has
  {~eyes} eyes.]
+ I don't like the {animal:e}. [It is dangerous.|It is ugly.|It sleeps all day.|I am afraid.]
+ {friend.name} is [taking photos|eating ice cream|looking at the {~animal}|talking to a girl|drinking
  {~drink}].
+ The children are [laughing|running|playing|very happy|hungry]. They want [{~food}|{~drink}|to see the
  {~animal}].
+ A ticket costs {~price}[ for adults and {~price} for children|].
+ At {noon} we eat {~meal} [in the restaurant|under a tree|in the park].
+ The {~animal}s are [in the water|under the trees|near the door|behind the house].
+ At home I have a {pet}. It is {size:c} and its name is {petname}.
+ The zoo opens at {start} and closes at {evening}.
^ [I like the zoo.|It is a good day!|Do you like animals?|I want to come again.|Now we go home.|What is your
  favourite animal?]

= a photo of my holiday
^ [Look at this photo!|This is a photo of my holiday.|Hi {friend.name}, here is my photo!] I am in {abroad}
  with {partner}[ and {friend:b.name}|]. [We are {~photo_where}.|It is {weather} today.|We are very happy.]
+ I am wearing a {~colour} {~clothes}[, a {~clothes}|] and {~colour} {~clothing}. [I look funny!|Do you like
  it?|]
+ {^friend:b.name} is {~photo_do} and {guest.name} is {~photo_do}.
+ There are {num} [boats|birds|children|cars|trees|old houses] {~photo_where}.
+ The man with the {~colour} {~clothes} is our [guide|driver|new friend|waiter]. His name is {brother.name}.
  He is very {~kind}.
+ The woman {~photo_where} is {~photo_do}. [She has {~hair}.|I don't know her.|She is from {land}.]
+ We are eating {~food} and drinking {~drink}. [It is {~nice}.|It is expensive here.|I love it!]
+ The hotel is {size}. [It has a swimming pool.|It is near the {place}.|The rooms are {~colour}.|There are
  {num:b} beds in our room.]
+ Every day we {~photo_every} and we {~photo_every}.
+ The weather is {climate.a}[ and the water is cold| and the sky is blue| and the sun is in my eyes|].
+ In the evening there is [music|a market|a party] in the street. [We dance and sing.|We buy {~food}.|It is
  noisy.]
+ I don't have [my phone|a camera|much money|a map] here, but I am happy.
^ [I don't want to go home!|Where are you this summer?|See you next week!|Do you like my photo?|I miss you!|It
  is a {nice} place.]
~ photo_where: next to the river | in front of the {~place} | on the beach | under a tree | in a small café |
  on a bridge | near the hotel | in the old town | behind us | on a boat
~ photo_do: eating ice cream | taking a photo | reading a map | drinking {~drink} | talking on the phone |
  laughing | sleeping | buying a {~clothes} | swimming | singing a song | looking at the sea | playing with a
  {~pet}
~ photo_every: swim in the sea | visit a {~place} | walk in the city | eat {~food} | play {~sport} | take
  photos | get up late | buy presents

= my English class *2
^ [I study English|I learn English] {~times} in {city}. [My class is at {evening}.|My school is near the
  {place}.|There are {#5-25} students in my class.|I am a new student.]
+ My teacher is {boss.name}. {^boss.he} is from {~land} and {boss.he} is {kind}. [{^boss.he} speaks
  slowly.|{^boss.he} gives us a lot of homework.|We like {boss.him}.|]
+ My friend {friend.name} [sits next to me|is in my class too|helps me]. {^friend.he} is {friend.age} and
  {friend.he} is a {~job.title}.
+ In the classroom there is a [whiteboard|big table|computer|map] and there are {num}
  [chairs|tables|pictures|windows].
+ I like [reading|speaking|listening|writing|grammar], but I don't like [grammar|exams|writing|homework|long
  texts].
+ English is [easy|difficult|not easy|important] for me. [I need it for my job.|I want to travel to
  {land}.|The words are short.|I forget the words.]
+ I have [a red book|two books|a dictionary|a notebook] and [a pen|{num:b} pencils|a {colour} bag].
+ I can [say my name|count to one hundred|read a menu|write a short email|understand songs], but I can't
  [understand films|speak fast|talk on the phone|write a letter].
+ At home I [watch films in English|do my homework in the kitchen|listen to {music}|study with {partner}|read
  to my {pet}].
+ We have a test on {day}. [I am nervous.|I study every night.|It is about food and family.|]
+ After class we [drink {drink}|go home {transport}|talk in {language}|eat {food}].
^ [I like my class.|Do you study English too?|Practice is important!|I am happy in my school.|Thank you,
  teacher!|Please correct my mistakes.]
""",
    BASE,
)
