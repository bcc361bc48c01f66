"""First languages: names, lands, cities and dishes of their writers. Data, and the parser of its notation."""

import re
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Land:
    """Where a writer may come from, `weight` times as often as from a land of weight 1."""

    country: str
    nationality: str
    weight: int
    cities: tuple[str, ...]
    dishes: tuple[str, ...]


@dataclass(slots=True)
class FirstLanguage:
    """Names and lands of the writers of one first language; `script` spells some cities in its own writing."""

    name: str
    women: tuple[str, ...] = ()
    men: tuple[str, ...] = ()
    surnames: tuple[str, ...] = ()
    lands: list[Land] = field(default_factory=list)
    script: dict[str, str] = field(default_factory=dict)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split(", "))


def _parse(block: str) -> dict[str, FirstLanguage]:
    """Languages by name: `# Name`, then lines `key: a, b, c`; lines that begin with spaces continue."""
    languages: dict[str, FirstLanguage] = {}
    for line in re.sub(r"\n +", " ", block.strip()).splitlines():
        key, _, value = line.partition(": ")
        if line.startswith("# "):
            language = FirstLanguage(line[2:])
            languages[language.name] = language
        elif key == "land":
            country, nationality, weight, cities, dishes = value.split(" / ")
            language.lands.append(Land(country, nationality, int(weight), _words(cities), _words(dishes)))
        elif key == "script":
            language.script.update(pair.split(" = ") for pair in _words(value))
        else:
            setattr(language, key, _words(value))
    return languages


FIRST_LANGUAGES = _parse("""
# Portuguese
women: Ana, Maria, Juliana, Fernanda, Camila, Letícia, Patrícia, Luciana, Débora, Carla, Vanessa, Bruna,
  Renata, Aline, Mônica, Cláudia, Larissa, Gabriela, Priscila, Inês, Adriana, Tatiane, Beatriz
men: João, José, Carlos, Paulo, Rafael, Lucas, Marcos, André, Felipe, Gustavo, Rodrigo, Thiago, Fábio,
  Leonardo, Bruno, Eduardo, Márcio, Diego, Vinícius, Ricardo, Marcelo, Sérgio, Daniel
surnames: Silva, Santos, Oliveira, Souza, Pereira, Costa, Rodrigues, Almeida, Nascimento, Lima, Araújo,
  Ferreira, Carvalho, Gonçalves, Ribeiro, Martins, Barbosa, Rocha, Mendonça, Teixeira, Moreira
land: Brazil / Brazilian / 9 / São Paulo, Rio de Janeiro, Belo Horizonte, Curitiba, Porto Alegre, Salvador,
  Recife, Fortaleza, Brasília, Campinas, Florianópolis, Manaus, Goiânia, Vitória, Natal, Santos, Joinville,
  Ribeirão Preto, Uberlândia, Belém / feijoada, rice and beans, churrasco, pão de queijo, moqueca, coxinha
land: Portugal / Portuguese / 1 / Lisbon, Porto, Braga, Coimbra, Faro, Aveiro, Setúbal / bacalhau, grilled
  sardines, caldo verde
# Mandarin
women: Lina, Xiaoyan, Min, Yan, Mei, Jing, Xi, Yuting, Lily, Cindy, Amy, Xiaohong, Ying, Fangfang, Vivian, Qian,
  Lei, Grace, Yangyang, Hui, Xiaoli, Judy
men: Wei, Qiang, Hao, Jack, Kevin, Jun, Xiaoming, Tao, Bin, Leo, Peng, Eric, Feng, Bo, Haoran, Gang, Ming, Yang,
  Jason, Zhiyuan
surnames: Wang, Li, Zhang, Liu, Chen, Yang, Huang, Zhao, Wu, Zhou, Xu, Sun, Ma, Zhu, Hu, Lin, Guo, He
land: China / Chinese / 7 / Beijing, Shanghai, Guangzhou, Shenzhen, Chengdu, Nanjing, Wuhan, Hangzhou,
  Xi'an, Tianjin, Chongqing, Suzhou, Qingdao, Dalian, Xiamen, Changsha, Harbin, Kunming / dumplings, hot
  pot, noodles, Beijing duck, fried rice, mapo tofu
land: Taiwan / Taiwanese / 2 / Taipei, Kaohsiung, Taichung, Tainan, Hsinchu / beef noodles, bubble tea,
  dumplings
script: Beijing = 北京, Shanghai = 上海, Guangzhou = 广州, Taipei = 台北, Chengdu = 成都, Shenzhen = 深圳,
  Nanjing = 南京, Wuhan = 武汉, Hangzhou = 杭州
# Spanish
women: María, Lucía, Carmen, Sofía, Laura, Andrea, Mónica, Verónica, Paula, Valentina, Daniela, Isabel,
  Rocío, Elena, Alejandra, Pilar, Natalia, Gabriela, Ximena, Inés
men: José, Juan, Carlos, Luis, Miguel, Javier, Andrés, Diego, Jesús, Pedro, Raúl, Fernando, Sergio,
  Alejandro, Óscar, Martín, Ramón, Álvaro, Pablo, Hugo
surnames: García, Martínez, López, González, Hernández, Pérez, Sánchez, Ramírez, Torres, Flores, Rivera,
  Gómez, Díaz, Morales, Ortiz, Castillo, Núñez, Vargas, Romero
land: Mexico / Mexican / 4 / Mexico City, Guadalajara, Monterrey, Puebla, Querétaro, Mérida, Cancún, León,
  Tijuana, Oaxaca, Toluca / tacos, enchiladas, quesadillas, mole, guacamole
land: Spain / Spanish / 3 / Madrid, Barcelona, Valencia, Seville, Málaga, Bilbao, Zaragoza, Granada, Cádiz,
  A Coruña / paella, gazpacho, tortilla, jamón, croquetas
land: Colombia / Colombian / 2 / Bogotá, Medellín, Cali, Cartagena, Barranquilla, Bucaramanga / arepas,
  bandeja paisa, ajiaco
land: Peru / Peruvian / 1 / Lima, Arequipa, Cusco, Trujillo / ceviche, lomo saltado
# Russian
women: Olga, Elena, Natalia, Irina, Svetlana, Anna, Tatiana, Ekaterina, Maria, Yulia, Marina, Daria,
  Anastasia, Ksenia, Polina, Oksana, Vera, Alina
men: Alexander, Sergey, Dmitry, Andrey, Alexey, Ivan, Mikhail, Maxim, Vladimir, Nikolay, Pavel, Igor, Artem,
  Denis, Roman, Oleg, Kirill, Anton
surnames: Ivanov, Smirnov, Kuznetsov, Popov, Sokolov, Lebedev, Kozlov, Novikov, Morozov, Petrov, Volkov,
  Pavlov, Orlov, Fedorov, Zaitsev
land: Russia / Russian / 1 / Moscow, Saint Petersburg, Novosibirsk, Yekaterinburg, Kazan, Samara, Omsk,
  Rostov-on-Don, Ufa, Krasnoyarsk, Perm, Voronezh, Sochi, Tomsk, Kaliningrad, Tula, Irkutsk / borscht,
  pelmeni, blini, buckwheat, okroshka
script: Moscow = Москва, Kazan = Казань, Samara = Самара, Sochi = Сочи, Omsk = Омск, Perm = Пермь, Saint
  Petersburg = Санкт-Петербург, Tula = Тула, Ufa = Уфа
# German
women: Anna, Julia, Sabine, Katrin, Claudia, Petra, Lena, Sarah, Monika, Stefanie, Nina, Birgit, Heike,
  Jana, Käthe, Lisa, Melanie, Tanja
men: Thomas, Michael, Stefan, Andreas, Jörg, Markus, Jürgen, Tobias, Jan, Florian, Matthias, Björn,
  Christian, Lukas, Uwe, Günther, Felix, Sven
surnames: Müller, Schmidt, Schneider, Fischer, Weber, Meyer, Wagner, Becker, Schulz, Hoffmann, Schäfer,
  Koch, Bauer, Richter, Klein, Wolf, Schröder, Neumann, Krüger, König
land: Germany / German / 6 / Berlin, Hamburg, Munich, Cologne, Frankfurt, Stuttgart, Düsseldorf, Leipzig,
  Dresden, Nürnberg, Hannover, Bremen, Münster, Freiburg, Würzburg, Kassel / sausages, schnitzel, potato
  salad, sauerkraut, käsespätzle
land: Austria / Austrian / 1 / Vienna, Graz, Linz, Salzburg / schnitzel, apple strudel
land: Switzerland / Swiss / 1 / Zürich, Bern, Basel, Luzern / fondue, rösti
# Italian
women: Giulia, Francesca, Chiara, Sara, Martina, Elisa, Valentina, Federica, Silvia, Alessia, Laura, Paola,
  Roberta, Elena, Simona, Ilaria, Noemi
men: Marco, Andrea, Luca, Matteo, Alessandro, Francesco, Davide, Stefano, Giuseppe, Antonio, Paolo, Roberto,
  Simone, Fabio, Niccolò, Lorenzo, Enrico
surnames: Rossi, Russo, Ferrari, Esposito, Bianchi, Romano, Colombo, Ricci, Marino, Greco, Bruno, Gallo,
  Conti, De Luca, Mancini, Costa, Giordano
land: Italy / Italian / 1 / Rome, Milan, Naples, Turin, Palermo, Genoa, Bologna, Florence, Bari, Catania,
  Venice, Verona, Padua, Trieste, Perugia, Cagliari, Forlì / lasagne, carbonara, risotto, pizza margherita,
  tiramisù
# French
women: Marie, Sophie, Julie, Camille, Céline, Nathalie, Isabelle, Émilie, Aurélie, Claire, Chloé, Hélène,
  Valérie, Sandrine, Léa, Manon, Élodie, Pauline
men: Pierre, Nicolas, Julien, François, Thomas, Sébastien, Philippe, Laurent, Frédéric, Antoine, Rémi,
  Jérôme, Olivier, Mathieu, Stéphane, Benoît, Hugo
surnames: Martin, Bernard, Dubois, Richard, Petit, Durand, Leroy, Moreau, Simon, Garnier, Lefèvre,
  Roux, Fournier, Girard, Mercier, Béranger, Faure
land: France / French / 6 / Paris, Lyon, Marseille, Toulouse, Nice, Nantes, Bordeaux, Lille, Rennes,
  Strasbourg, Montpellier, Grenoble, Dijon, Angers, Orléans, Besançon, Nîmes / ratatouille, quiche, crêpes,
  boeuf bourguignon, gratin dauphinois
land: Belgium / Belgian / 1 / Brussels, Liège, Namur, Mons / waffles, mussels and fries
# Arabic
women: Fatima, Sara, Noura, Aisha, Mona, Huda, Reem, Layla, Amal, Hanan, Dina, Maryam, Salma, Rania, Abeer,
  Nada, Yasmin
men: Ahmed, Mohammed, Ali, Omar, Khalid, Abdullah, Hassan, Youssef, Fahad, Ibrahim, Mahmoud, Saad, Tariq,
  Faisal, Sami, Majed, Hussein, Nasser
surnames: Hassan, Ali, Ibrahim, Al-Harbi, Al-Qahtani, Mansour, Saleh, Al-Ghamdi, Abdullah, Khalil, Nasser,
  Mostafa, Al-Otaibi, Haddad
land: Saudi Arabia / Saudi / 4 / Riyadh, Jeddah, Mecca, Medina, Dammam, Taif, Abha, Tabuk / kabsa, dates,
  mandi
land: Egypt / Egyptian / 2 / Cairo, Alexandria, Giza, Mansoura, Luxor / koshari, ful, molokhia
land: Jordan / Jordanian / 1 / Amman, Irbid, Aqaba / mansaf, falafel
land: the Emirates / Emirati / 1 / Dubai, Abu Dhabi, Sharjah / machboos, shawarma
script: Riyadh = الرياض, Cairo = القاهرة, Jeddah = جدة, Amman = عمان, Dubai = دبي, Alexandria = الإسكندرية,
  Mecca = مكة
# Japanese
women: Yuki, Yuko, Akiko, Emi, Naoko, Sakura, Keiko, Mai, Tomoko, Haruka, Ayumi, Miho, Rie, Chika, Kaori,
  Noriko
men: Hiroshi, Takashi, Kenji, Yuta, Daisuke, Makoto, Shinji, Kazuki, Ryo, Satoshi, Taro, Hideki, Naoki,
  Koji, Jun, Masato
surnames: Sato, Suzuki, Takahashi, Tanaka, Watanabe, Ito, Yamamoto, Nakamura, Kobayashi, Kato, Yoshida,
  Yamada, Sasaki, Matsumoto, Inoue, Kimura
land: Japan / Japanese / 1 / Tokyo, Osaka, Kyoto, Nagoya, Yokohama, Kobe, Fukuoka, Sapporo, Hiroshima,
  Sendai, Chiba, Nara, Niigata, Okayama, Kanazawa / sushi, ramen, tempura, curry rice, okonomiyaki, miso
  soup
script: Tokyo = 東京, Osaka = 大阪, Kyoto = 京都, Nagoya = 名古屋, Sapporo = 札幌, Yokohama = 横浜,
  Kobe = 神戸
# Turkish
women: Ayşe, Fatma, Zeynep, Elif, Merve, Özlem, Esra, Gülşen, Büşra, Selin, Derya, Sevgi, Pınar, Ebru, Seda
men: Mehmet, Mustafa, Ahmet, Emre, Murat, Hüseyin, Can, Burak, Oğuz, Serkan, Hakan, Kemal, Çağlar, Onur,
  Barış
surnames: Yılmaz, Kaya, Demir, Çelik, Şahin, Yıldız, Öztürk, Aydın, Arslan, Doğan, Kılıç, Aslan, Koç, Kurt
land: Turkey / Turkish / 1 / Istanbul, Ankara, Izmir, Bursa, Antalya, Adana, Konya, Gaziantep, Eskişehir,
  Trabzon, Muğla, Kayseri, Samsun / kebab, baklava, köfte, lentil soup, börek, dolma
""")
