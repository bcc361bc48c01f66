r"""The rules of learners' errors by first language: data for `errors`.

A rule is a line `find => replacement : rate`, the rate in per cent of the places where an A1 writer of average care
makes the error. `find` is plain text, matched as whole words; `/trigger/ find` is a regular expression, tried only in
a text that contains the trigger (`\1` in the replacement as in `re.sub`).
"""

_ROMANCE = ("Portuguese", "Spanish", "Italian", "French")
_NO_ARTICLES = ("Russian", "Mandarin", "Japanese", "Turkish")
_ALL = (*_ROMANCE, *_NO_ARTICLES, "German", "Arabic")

_VERBS = (
    "like|live|work|play|eat|drink|want|speak|love|look|cook|start|make|get|sleep|need|come|take|sing|read|help|think|say|tell|"
    "give|show|begin|become|know|wear|sell|write|drive|bring|keep|call|teach"
)
_PLURAL_AFTER = "two|three|four|five|six|seven|eight|nine|ten|many|some|several|these|other|few|all"
_NOUNS = (
    "year|chair|desk|friend|brother|sister|car|book|shop|problem|email|thing|day|week|month|room|window|computer|place|question|hour|"
    "minute|film|job|photo|reason|customer|employee|picture|table|bottle|egg|apple|cat|dog|time|idea|kilo"
)

RULES: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        _ALL,
        rf"""
/he / \b([Hh]e|[Ss]he|[Ii]t) ({_VERBS})s\b => \1 \2 : 9
/he / \b([Hh]e|[Ss]he) has\b => \1 have : 6
/ doesn't / \b([Hh]e|[Ss]he|[Ii]t) doesn't\b => \1 don't : 9
There are => There is : 5
there are => there is : 5
people are => people is : 4
/an / \b([Aa])n(?= [aeiou]) => \1 : 5
because => becouse : 2
because => becuase : 2
because => beacuse : 1
beautiful => beatiful : 5
beautiful => beautifull : 4
beautiful => beutiful : 3
restaurant => restaurent : 5
restaurant => resturant : 4
friend => freind : 3
friends => freinds : 3
which => wich : 6
really => realy : 5
tomorrow => tomorow : 7
interesting => intresting : 5
interesting => interessting : 2
different => diferent : 5
different => diffrent : 3
believe => belive : 7
receive => recieve : 9
received => recieved : 9
government => goverment : 8
environment => enviroment : 9
necessary => neccessary : 8
comfortable => confortable : 6
favourite => favorite : 22
favourite => favourit : 3
colour => color : 20
travelling => traveling : 15
usually => usualy : 5
always => allways : 3
until => untill : 5
their => there : 3
their => thier : 2
than => then : 4
too => to : 2
with => whit : 2
their => they : 1
Wednesday => Wensday : 10
beginning => begining : 7
definitely => definitly : 9
important => importent : 2
February => Febuary : 9
experience => experiance : 4
expensive => expansive : 3
successful => succesful : 9
opportunity => oportunity : 8
professional => profesional : 6
accommodation => accomodation : 14
committed => commited : 8
argument => arguement : 6
independent => independant : 6
occurred => occured : 7
embarrassed => embarassed : 9
disappointed => dissapointed : 8
immediately => immediatly : 8
excellent => excelent : 5
tasks => task : 5
information => informations : 5
advice => advices : 6
furniture => furnitures : 8
homework => homeworks : 4
/ listen/ \b(listen\w*) to => \1 : 7
on Monday => in Monday : 5
on Friday => in Friday : 5
on Saturday => in Saturday : 5
on Sunday => in Sunday : 5
at the weekend => in the weekend : 12
at night => in the night : 9
In the evening => At the evening : 4
in the morning => at morning : 3
good at => good in : 12
/interested in/ interested in => interested on : 8
arrived at => arrived to : 9
arrived in => arrived to : 6
look forward to meeting => look forward to meet : 14
forward to hearing => forward to hear : 14
would like to => would like : 2
I am writing => I writing : 3
/ to / \b(want|have|need|like) to (\w+)\b => \1 \2 : 1
/more / \bmore (and \w+|\w+) than\b => more \1 that : 3
bigger => more big : 6
cheaper => more cheap : 7
better than => more better than : 5
older => more old : 4
quieter => more quiet : 6
children => childrens : 2
women => womans : 6
/ every / \bevery (day|week|month)\b => every \1s : 3
much => many : 1
I have never => I never have : 5
/'ve / \bI've never\b => I never have : 4
/could / \b(could|should|must|can) (be|go|have|get|do|see|take|make|help|visit)\b => \1 to \2 : 2
English => english : 9
""",
    ),
    (
        _ROMANCE,
        r"""
/ years old/ \bI(?: a|')m (\d+) years old => I have \1 years : 22
/ years old/ \b(He|She|he|she)(?: i|')s (\d+) years old => \1 has \2 years : 22
/ years old/ (\d+) years old => \1 years : 12
married to => married with : 30
depends on => depends of : 30
It is => Is : 7
It's => Is : 5
it is => is : 4
/people/ (?<!the )\bpeople(?= are| have| think| do) => the people : 4
life is => the life is : 14
Health is => The health is : 20
Money is => The money is : 25
other => others : 2
different => differents : 3
hungry => with hunger : 2
agree with => am agree with : 14
I agree => I am agree : 25
I don't agree => I am not agree : 22
/ very much/ \blike (\w+) very much => like very much \1 : 22
/very well/ \b(speak|sing|cook)s? (\w+) very well\b => \1 very well \2 : 15
I want to => I want : 1
responsible => responsable : 12
comfortable => confortable : 12
example => exemple : 4
address => adress : 10
apartment => appartment : 9
apartment => apartament : 6
dictionary => dictionnary : 9
professional => profissional : 4
explain => explicate : 3
currently => actually : 28
At the moment => Actually : 14
Nowadays => Actually : 12
attend => assist to : 25
realised => realized : 20
listened to me => listened me : 15
wait for => wait : 9
waited for => waited : 7
told me => said me : 10
explained to me => explained me : 25
in spite of => despite of : 18
despite => despite of : 8
two weeks ago => two weeks before : 6
for three years => since three years : 16
for five years => since five years : 16
for two years => since two years : 16
house => home : 2
discuss => discuss about : 10
/ / \b(red|blue|green|black|white|yellow|brown) (car|shirt|jacket|dress|house|cat|dog|sweater|skirt|coat)\b => \2 \1 : 6
""",
    ),
    (
        ("Portuguese", "Spanish", "Italian"),
        r"""
There is => Have : 4
There are => Have : 5
intend => pretend : 30
library => bookstore : 5
have a shower => take a bath : 8
birthday => aniversary : 4
took a photo => took a picture : 10
parents => fathers : 3
make => do : 2
take => have : 1
she works => works : 5
He is => Is : 4
He's => Is : 3
She is => Is : 4
tell => say : 3
went to home => went home : 2
in the => on the : 3
on the => in the : 4
at the => in the : 5
/'s / \bmy (father|mother|brother|sister|friend)'s (\w+) => the \2 of my \1 : 14
colleague => colleage : 6
interesting => interessant : 2
especially => specially : 14
stress => estress : 8
Spain => España : 2
special => especial : 5
to => for : 1
""",
    ),
    (
        ("Portuguese",),
        r"""
I have worked => I work : 10
my life => mine life : 1
I went => I was : 1
receptionist => recepcionist : 8
a little English => a few English : 6
very much => so much : 8
I like => I like of : 2
cousin => cousen : 3
bank => banc : 2
kind => gentle : 3
pharmacy => farmacy : 8
very => so : 2
with => with the : 1
notebook => notbook : 6
lunch => lanch : 3
push => pull : 5
See you soon => Until more : 3
Kisses => Kiss : 20
""",
    ),
    (
        ("Spanish",),
        r"""
very => very very : 1
which => that : 3
my parents => my fathers : 7
every day => all the days : 12
people => persons : 4
student => estudent : 3
school => escuela : 1
/? / (?<=[.!] )(How|What|Where|Do|Can) ([^?.!]*\?) => ¿\1 \2 : 5
because => becose : 3
traffic => trafic : 6
cannot => can not : 8
sometimes => some times : 6
success => sucess : 6
I am going to => I go to : 5
/very / \bvery (happy|tired|nice|good)\b => so \1 : 2
""",
    ),
    (
        ("Italian",),
        r"""
/my / \b[Mm]y (house|job|family|city|car|name|friend|friends|boss)\b => the my \1 : 5
depends on => depends by : 14
different from => different by : 9
news are => news is : 3
I am => I'm : 6
parents => parentes : 2
people => peoples : 4
at home => at home mine : 1
near the => near to the : 12
go to => go in : 3
holiday => holidays : 4
""",
    ),
    (
        ("French",),
        r"""
another => an other : 16
most of the => the most of the : 10
language => langage : 9
for example => for exemple : 14
traffic => trafic : 8
development => developpement : 14
colleague => collegue : 10
possibility => possibilty : 3
the people => the peoples : 4
I like => I love : 3
/ years/ \bfor (\w+) years => since \1 years : 18
holidays => hollidays : 4
hope that => hope than : 3
many => a lot : 3
such as => like : 6
licence => license : 5
/ very much/ \b(like|love) the (\w+) => like very much the \2 : 3
also => equally : 3
eventually => finally : 10
proposed => propose : 5
rendezvous => rendez-vous : 5
""",
    ),
    (
        ("Russian",),
        r"""
In my opinion => On my opinion : 22
feel => feel myself : 7
/ feel/ \b(feel|felt) (bad|good|tired|happy|well|better)\b => \1 myself \2 : 20
wait for => wait : 10
It is => It : 4
/ is / \b([Mm]y \w+|[Hh]e|[Ss]he) is (?=a |the |very |\d) => \1 : 5
answered => answered to : 3
for work => on work : 10
go to work => go on work : 12
at home => in home : 6
depends on => depends from : 22
, that => , what : 3
/ that / (?<=[a-z]) that\b => , that : 3
I think => I think, : 8
in the city => in city : 12
what is called => how is called : 10
has lived => lives : 12
have worked => work : 12
have been => am : 3
at university => in university : 15
advice => advise : 8
comfortable => comfortably : 5
""",
    ),
    (
        ("Mandarin",),
        r"""
/ very much/ \blike (\w+) very much => very like \1 : 25
I like => I very like : 5
He => She : 2
She => He : 3
she => he : 3
her => his : 2
There are => There have : 10
There is => There has : 8
/lthough / \b[Aa]lthough ([^,.]+), => Although \1, but : 30
/ecause / (?:^|(?<=[.!?] ))Because ([^,.]+), => Because \1, so : 30
people => peoples : 3
in the morning => at morning : 5
English is => English are : 3
open => turn on : 2
turn off => close : 12
in my house => in my home : 8
interested in => interesting in : 12
delicious => very delicious : 18
/ is / \b(I|[Hh]e|[Ss]he|[Mm]y \w+) is (very \w+) => \1 \2 : 6
I am => I'm am : 1
bored => boring : 12
excited => exciting : 12
Every day => Everyday : 30
every day => everyday : 30
""",
    ),
    (
        ("Japanese",),
        r"""
go shopping => go to shopping : 25
went shopping => went to shopping : 25
most people => almost people : 20
most of => almost of : 10
enjoyed => enjoyed very much : 2
played => did : 4
because => because of : 3
So, => So : 3
people are => people is : 4
recommend => recommend you : 5
/ is / \b(breakfast|lunch|dinner) is\b => \1 are : 10
restaurant => restrant : 5
really => rearly : 8
glad => grad : 8
play => pray : 3
fly => fry : 3
job => work : 5
I have => There is : 1
in Japan => in japan : 15
hobby => hoby : 5
challenge => charenge : 10
high => expensive : 2
live in => live at : 6
""",
    ),
    (
        ("Turkish",),
        r"""
go home => go to home : 25
went home => went to home : 20
come home => come to home : 20
I agree => I am agree : 20
/I / \bI (like|want|go|work|think|live)\b => I am \1 : 3
on Monday => in Monday : 8
listen to music => listen music : 25
/ years/ \bfor (\w+) years => since \1 years : 12
people => peoples : 5
many => very : 5
a lot of => too much : 10
too => very : 3
very => too much : 2
because => because of : 3
married to => married with : 18
at the => in the : 4
in the => at the : 3
there are => there is : 14
There are => There is : 14
learn => lern : 4
think => thing : 3
""",
    ),
    (
        ("German",),
        r"""
/ years/ \bfor (\w+) years => since \1 years : 14
get a => become a : 14
I got => I became : 8
, which => , that : 3
who => which : 5
when => if : 4
if => when : 4
think that => think, that : 14
believe that => believe, that : 14
said that => said, that : 14
hope that => hope, that : 14
know that => know, that : 14
then => than : 10
than => then : 8
until => til : 8
address => adress : 16
currently => actual : 20
maybe => eventually : 20
mobile phone => handy : 20
boss => chef : 14
interested in => interested on : 8
married to => married with : 25
at the weekend => on the weekend : 30
/day / \b(Yesterday|Last \w+|Then|Today) (I|we|he|she) (\w+)\b => \1 \3 \2 : 12
/ always / \bI (always|often|usually|never) (\w+)\b => I \2 \1 : 7
my job => my Job : 9
the car => the Car : 9
my family => my Family : 7
house => House : 4
music => Music : 4
my friend => my Friend : 5
German => german : 14
which => wich : 7
very => verry : 3
well => good : 3
have a party => make a party : 20
had a party => made a party : 20
take a photo => make a photo : 20
took a lot of photos => made a lot of photos : 25
took many photos => made many photos : 25
information => informations : 10
with => whith : 2
""",
    ),
    (
        ("Arabic",),
        r"""
/ is / \b([Mm]y \w+|[Hh]e|[Ss]he) is (?=a |the |very |\d) => \1 : 8
. And => and : 5
people => peoble : 9
problem => broblem : 8
park => bark : 6
beautiful => beautifull : 8
because => becuse : 8
/e who/ \b(man|woman|friend|person|people) (who|which) (I|we) (\w+)\b => \1 \2 \3 \4 him : 20
the same => same : 8
with => wiht : 2
there are => there is : 8
/ a / \ba (?=[a-z]) => : 12
in the => at the : 4
/ city/ (?<=[a-z] )(?<!the )(?<!a )(?<!my )(?<!this )city\b => the city : 3
every => evry : 6
very => vrey : 3
really => realy : 8
when => wen : 4
house => hous : 3
Sunday => sunday : 16
Friday => friday : 16
Saturday => saturday : 16
Arabic => arabic : 30
think => thing : 3
""",
    ),
    (
        ("Russian", "Mandarin", "Japanese"),
        r"""
/ the / \bthe (?=[a-z]) => : 11
/ a / \b(?:a|an) (?=[a-z]) => : 14
""",
    ),
    (
        ("Turkish",),
        r"""
/ the / \bthe (?=[a-z]) => : 7
/ a / \b(?:a|an) (?=[a-z]) => : 13
""",
    ),
    (
        (*_NO_ARTICLES, "Arabic"),
        r"""
life is => the life is : 8
went => go : 7
bought => buy : 8
saw => see : 7
ate => eat : 8
took => take : 5
came => come : 6
was => is : 3
were => are : 3
had => have : 3
told => tell : 6
met => meet : 5
bought => buyed : 4
interested in => interesting in : 8
/ing/ \b(am|is|are|was|were) (\w+ing)\b => \2 : 3
""",
    ),
    (
        ("Mandarin", "Japanese", "Turkish"),
        rf"""
/s/ \b({_PLURAL_AFTER}) ({_NOUNS})s\b => \1 \2 : 10
""",
    ),
    (
        ("Portuguese", "Spanish", "Italian", "French", "German", "Russian", "Arabic"),
        rf"""
/s/ \b({_PLURAL_AFTER}) ({_NOUNS})s\b => \1 \2 : 2
""",
    ),
)
