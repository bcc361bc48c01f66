"""Words that the topics of all levels draw from; a level's own lists stand in its `topics_*` module."""

from ilm.corpus.synthetic.grammar import parse_grammar

BASE = parse_grammar(r"""
~ job(title, work, works, field): teacher / teach children in a primary school / teaches children / education
  | nurse / work in a hospital / works in a hospital / health care | doctor / work in a clinic / works in a
  clinic / medicine | engineer / work for a big car company / works for a car company / engineering | waiter /
  work in a restaurant near the station / works in a restaurant / catering | sales assistant / work in a
  clothes shop / works in a shop / retail | lawyer / work in a law office / works in a law office / law |
  secretary / work in an office in the centre / works in an office / administration | accountant / work in a
  bank / works in a bank / finance | programmer / write computer programs / works with computers / software |
  taxi driver / drive a taxi / drives a taxi / transport | cook / cook in a hotel / works in a hotel kitchen /
  catering | police officer / work for the police / works for the police / security | manager / manage a small
  team in a factory / works in a factory / industry | architect / draw plans for houses / designs houses /
  construction | journalist / write for a local newspaper / works for a newspaper / journalism | dentist /
  have a small dental clinic / works in a dental clinic / medicine | designer / make web pages for companies /
  makes web pages / design | hairdresser / work in a beauty salon / works in a beauty salon / services |
  mechanic / repair cars and motorbikes / repairs cars / transport | receptionist / work at the reception of a
  hotel / works in a hotel / tourism | salesman / sell phones and computers / sells computers / sales | tour
  guide / show my city to tourists / works with tourists / tourism | pharmacist / work in a pharmacy / works
  in a pharmacy / health care | farmer / work on a farm with my family / works on a farm / agriculture |
  photographer / take photos at weddings / takes photos / the media
~ post: sales | marketing | finance | human resources | customer service | IT | logistics | purchasing |
  production | training
~ hobby(do, ing): play football / playing football | play tennis / playing tennis | play the guitar / playing
  the guitar | read books / reading books | watch films / watching films | listen to music / listening to
  music | cook / cooking | swim / swimming | dance / dancing | run in the park / running in the park | ride my
  bike / riding my bike | play computer games / playing computer games | go to the gym / going to the gym |
  travel / travelling | take photos / taking photos | sing / singing | paint / painting | go shopping / going
  shopping | play volleyball / playing volleyball | do yoga / doing yoga | play chess / playing chess | learn
  languages / learning languages | go hiking / going hiking | play basketball / playing basketball | work in
  the garden / working in the garden | go fishing / going fishing | meet my friends / meeting my friends |
  play the piano / playing the piano | surf the Internet / surfing the Internet | sleep / sleeping | watch TV
  / watching TV | draw / drawing
~ colour: red | blue | green | black | white | yellow | brown | grey | orange | pink | purple | light blue |
  dark green
~ num: two | three | four | five | six | seven | eight | nine | ten | twelve
~ day: Monday | Tuesday | Wednesday | Thursday | Friday | Saturday | Sunday
~ month: January | February | March | April | May | June | July | August | September | October | November |
  December
~ season: spring | summer | autumn | winter
~ food: pizza | pasta | rice | chicken | fish | salad | chocolate | ice cream | soup | fruit | bananas |
  apples | hamburgers | eggs | bread | vegetables | sandwiches | noodles | meat | cake | cheese | potatoes |
  seafood | oranges | strawberries | beans | yogurt | steak | grapes | mushrooms | tomatoes | cookies
~ drink: coffee | tea | water | orange juice | milk | beer | red wine | green tea | lemonade | cola | apple
  juice | white wine | hot chocolate | mineral water
~ grocery: apples | bananas | oranges | tomatoes | potatoes | onions | carrots | eggs | lemons | peppers |
  mushrooms | sausages | bread rolls | cucumbers | pears | plums | peaches
~ pack: a bottle of milk | a kilo of rice | some cheese | a bottle of water | two bottles of juice | some
  butter | a loaf of bread | a box of chocolates | some meat | a bag of sugar | some fish | a packet of coffee
  | a jar of honey | some salt | a can of tuna | three yogurts | half a kilo of ham | a bag of flour | some
  olive oil | a pack of pasta | two chickens | some green tea | a melon | a birthday cake | some paper plates
  | a bottle of wine
~ breakfast: bread and butter | toast with jam | cereal | eggs | yogurt and fruit | a banana | bread and
  cheese | rice | fruit | a sandwich | cake | biscuits | pancakes | noodles | ham and eggs | bread with honey
  | muesli | an apple
~ morning_drink: coffee | tea | milk | orange juice | green tea | hot chocolate | water | black coffee | apple
  juice | tea with lemon | coffee with milk
~ pet: dog | cat | rabbit | parrot | hamster | fish | bird | turtle
~ petname: Max | Luna | Bobby | Toby | Nina | Rex | Mimi | Coco | Lucky | Bella | Simba | Kiwi | Oscar |
  Pipoca | Snow | Tiger
~ size: big | small | very big | very small | large | medium-sized | huge | little
~ nice: nice | beautiful | good | great | lovely | pretty | wonderful | fantastic | pleasant
~ kind: kind | friendly | funny | nice | polite | shy | quiet | happy | clever | hard-working | helpful |
  patient | serious | calm | generous | honest | lazy | talkative | sociable | cheerful | intelligent |
  creative
~ hair: long black hair | short brown hair | blond hair | curly hair | long brown hair | short grey hair |
  dark hair | straight black hair | red hair | curly blond hair | very short hair
~ eyes: brown | blue | green | black | dark | big brown | grey | small dark
~ clothes: shirt | jacket | sweater | dress | T-shirt | coat | skirt | hat | suit | scarf | tie | blouse | cap
  | raincoat
~ clothing: jeans | shoes | trousers | boots | trainers | gloves | socks | shorts | sandals | sunglasses |
  pyjamas
~ subject: law | medicine | engineering | economics | business | history | biology | psychology | computer
  science | English | marketing | architecture | mathematics | chemistry | design | nursing | tourism
~ sport: football | tennis | basketball | volleyball | handball | badminton | table tennis | golf | rugby |
  hockey | baseball | squash | chess | water polo | beach volleyball
~ music: rock | pop music | jazz | classical music | folk music | samba | hip hop | country music | electronic
  music | opera
~ place: park | museum | library | supermarket | cinema | church | market | school | hospital | restaurant |
  café | bank | train station | swimming pool | theatre | shopping centre | post office | stadium | bakery |
  pharmacy | gym | zoo
~ transport: by bus | by car | by train | on foot | by bike | by underground | by tram | by motorbike
~ climate(season, a, b, c): spring / [warm|mild|pleasant] / [rainy|windy] / 19 | summer / [hot|very hot|sunny]
  / [dry|sunny|humid] / 34 | autumn / [cool|windy] / [rainy|foggy|wet] / 15 | winter / [cold|very cold] /
  [snowy|wet|windy|grey] / 2
~ weather: sunny | hot | cold | rainy | windy | cloudy | warm | cool | wet | foggy | snowy
~ abroad: London | Paris | New York | Rome | Sydney | Toronto | Dublin | Lisbon | Barcelona | Tokyo |
  Amsterdam | Prague | Edinburgh | Los Angeles | Vienna | Athens | Berlin | Singapore | Chicago | Copenhagen |
  Buenos Aires | Cape Town
~ land: England | Canada | Australia | Spain | France | Italy | Germany | Ireland | Scotland | the United
  States | Greece | Japan | Mexico | New Zealand | Portugal | Thailand | Sweden | South Africa | Morocco |
  Argentina | Norway | India
""")
