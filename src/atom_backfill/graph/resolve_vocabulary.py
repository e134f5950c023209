"""Words that tell persons from other senders, and given names that stand for one another: general knowledge of names.

Nicknames are the usual short forms of English and a few neighbouring languages. The common names are those of which
most large organisations have several bearers; they are here so that a small mailbox knows it too.
"""

from __future__ import annotations

from typing import Final

from atom_backfill.mail.vocabulary import words


def _short_forms(table: str) -> dict[str, frozenset[str]]:
    forms: dict[str, set[str]] = {}
    for line in table.strip().splitlines():
        formal, _, short = line.partition(":")
        for name in (formal.strip(), *short.split()):
            forms.setdefault(name, {name}).add(formal.strip())
    return {name: frozenset(formals) for name, formals in forms.items()}


FORMAL_NAMES: Final = _short_forms(
    """
    abigail: abby
    abraham: abe
    alan: al
    albert: al bert bertie
    alejandro: alex
    alexander: al alec alex lex sandy sasha xander
    alexandra: alex alexa lexi sandra sandy sasha
    alfred: al alf fred
    alison: ali
    allan: al
    amanda: mandy
    andrea: andi
    andreas: andi andy
    andrew: andy drew
    angela: angie
    anthony: tony
    antonio: toni tony
    arthur: art artie
    barbara: babs barb
    benjamin: ben benji benny
    bernard: bernie
    bradford: brad
    bradley: brad
    calvin: cal
    cameron: cam
    carolyn: carol
    catherine: cat cathy kate katie
    charles: charlie chas chuck
    charlotte: charlie
    christian: chris
    christina: chris chrissy tina
    christine: chris chrissy
    christopher: chris kit topher
    clifford: cliff
    clinton: clint
    cynthia: cindy
    daniel: dan danny
    danielle: dani
    david: dave davey davy
    deborah: deb debbie
    debra: deb debbie
    dennis: denny
    dmitri: dima
    dmitry: dima
    donald: don donnie
    dorothy: dot dottie
    douglas: doug
    edmund: ed ned
    eduardo: ed
    edward: ed eddie ned ted teddy
    edwin: ed
    elizabeth: beth betsy betty eliza libby lisa liz liza lizzie
    emanuel: manny
    emily: em
    eric: rick
    eugene: gene
    evgeny: zhenya
    florian: flo
    frances: fran
    francis: fran frank
    francisco: paco
    franklin: frank
    frederick: fred freddie freddy
    gabriel: gabe
    geoffrey: geoff
    gerald: gerry jerry
    gerard: gerry
    gregory: greg
    gustavo: gus
    harold: hal harry
    heinrich: heinz
    henry: hank harry
    howard: howie
    ignacio: nacho
    isaac: ike
    jacob: jake
    jacqueline: jackie
    james: jamie jim jimmie jimmy
    janet: jan
    janice: jan
    jeffery: jeff
    jeffrey: jeff
    jennifer: jen jenn jennie jenny
    jeremy: jerry
    jerome: jerry
    jessica: jess jessie
    johannes: hannes
    john: jack johnnie johnny
    jonathan: jon jonny
    joseph: joe joey
    joshua: josh
    josephine: jo josie
    judith: judi judy
    julian: jules
    katherine: kat kate kathy katie kay kitty
    kathleen: kathy katie
    kathryn: kate kathy katie
    kelly: kel
    kenneth: ken kenny
    kimberly: kim kimmy
    kristen: kris
    kristin: kris
    lawrence: larry lawrie
    leonard: len lenny
    leopold: leo
    leslie: les
    lewis: lew
    lillian: lil lily
    linda: lindy
    louis: lou louie
    louise: lou
    lucas: luke
    manuel: manny manolo
    margaret: maggie marge meg peg peggy rita
    maria: mia
    marjorie: marge
    martha: patty
    martin: marty
    matthew: matt
    matthias: matt matze
    maurice: moe
    maximilian: max
    maxwell: max
    megan: meg
    melanie: mel
    melissa: lissa mel missy
    melvin: mel
    michael: mick mickey mike mikey
    michelle: shelly
    mikhail: misha
    miriam: mimi
    mitchell: mitch
    mohammed: mo
    nancy: nan
    nathan: nat nate
    nathaniel: nat nate
    nicholas: nick nicky
    nicolas: nick nico
    nicole: nicki nikki
    nikolai: kolya
    norman: norm
    oliver: ollie
    pamela: pam
    patricia: pat patsy patti patty tricia trish
    patrick: pat paddy
    pavel: pasha
    penelope: penny
    peter: pete
    philip: phil
    phillip: phil
    priscilla: cilla
    rachel: rach
    ramon: ray
    randall: randy
    randolph: randy
    raymond: ray
    rebecca: becca becky
    reginald: reg reggie
    ricardo: rick
    richard: dick rich richie rick ricky
    robert: bob bobbie bobby rob robbie robby
    roberta: bobbie
    roberto: beto
    roderick: rod
    rodney: rod
    roger: rog
    ronald: ron ronnie ronny
    rudolf: rudi
    russell: russ rusty
    samantha: sam
    samuel: sam sammy
    sandra: sandy
    sarah: sally
    sebastian: basti seb
    sergei: seryozha
    sharon: shari
    shirley: shirl
    sidney: sid
    solomon: sol
    stanley: stan
    stefan: steffen
    stephanie: steph stephie
    stephen: steve stevie
    steven: steve stevie
    stewart: stew stu
    stuart: stew stu
    susan: sue susie suzie
    susanna: sue
    suzanne: sue suzie suzy
    sylvester: sly
    tamara: tammy
    teresa: terri terry tess
    terrence: terry
    thaddeus: tad thad
    theodore: ted teddy theo
    theresa: terri terry tess
    thomas: tom tommy
    timothy: tim timmy
    tobias: toby
    valerie: val
    veronica: ronnie
    victor: vic
    victoria: tori vicki vicky
    vincent: vince vinnie
    virginia: ginny
    vladimir: vlad volodya
    walter: walt
    wesley: wes
    wilhelm: willi
    william: bill billie billy liam will willie
    yevgeny: zhenya
    zachary: zach zack
    """
)
"""Given name → the formal names it may stand for, itself included."""

SPELLINGS: Final = _short_forms(
    """
    alexei: aleksei alexey
    alison: allison
    allan: alan allen
    andrei: andrey
    ann: anne
    brian: bryan
    catherine: catharine katherine kathryn
    deborah: debra
    dmitry: dimitri dmitri dmitriy
    erik: eric erick
    evgeny: evgenii evgeniy yevgeny yevgeniy
    geoffrey: jeffrey jeffery
    karl: carl
    mohammed: mohamed mohammad muhammad
    mark: marc
    nikolai: nikolay
    philip: phillip
    sara: sarah
    sergei: sergey
    stephen: steven stefan
    theresa: teresa
    yuri: yury
    """
)
"""Given names that are spelt in several ways, each → the ways."""

TITLES: Final = words(
    """
    dipl dr frau herr ing madame mag miss mister monsieur mr mrs ms prof professor sir
    """
)

GENERATIONS: Final = words(
    """
    ii iii iv jr jun junior senior sr
    """
)

DEGREES: Final = words(
    """
    ba bsc cfa cfo ceo cpa esq esquire jd ma mba md msc pe phd
    """
)

NOT_A_PERSON: Final = words(
    """
    account accounts admin administrator agency alert alerts alliance announce announcements assistance assoc
    associates association auctions bank billing board bot bugzilla bulletin bureau business buyer buyers cafe
    capital center centre chamber church club co college com commission committee communications community company
    conference consulting corp corporate corporation council customer customers daemon daily deals delivers delivery
    department deliveries desk developers digest digital direct discussion dispatch downloads education email energy
    enterprise enterprises events express federation finance financial forum foundation fund gmbh group groups
    helpdesk holdings hospital hotel hotels inc industries info information institute insurance international invest
    investments investor journal jobs lab laboratories labs library limited list lists llc llp logistics ltd magazine
    mail mailer mailing management market marketing media member members memberships ministry museum network networks
    news newsletter newsletters notification notifications notify office official online operations orders
    organization outlet partners patchwork payments postmaster press productions products program programs project
    promotions publications publisher publishing reader readers recipients register registration relations report
    reports research reservations resources resorts review rewards sales school science security server service
    services shipping shop shopper shopping society software solutions special staff statement store studio studios
    subscriber subscriptions supplies support survey system systems talk team tech technical technologies technology
    telecom times tips today trade training travel undisclosed union university update updates users utilities via
    ventures web webmaster weekly world worldwide yahoogroups
    """
)
"""Words of companies, departments, lists and machines that are hardly ever part of a person's name."""

COMMON_GIVEN: Final = words(
    """
    abdul adam ahmed aidan akira alain alan alberto alessandro alex alexander ali alice alison amit amy ana anders
    andrea andreas andrew andy angela anil anita ann anna anne anthony anton antonio arun ashley barbara barry ben
    bernd beth bill bob brad brandon brenda brian bruce carl carla carlos carol caroline catherine charles chen chris
    christian christine christopher claire claudia claudio craig dan daniel dave david dean deepak denis dennis diana
    diane dirk dmitry don donald donna doug douglas ed eduardo edward elena elizabeth emily emma eric erik eva felix
    fernando florian francesco francisco frank fred gabriel gary georg george gerald gordon graham grant greg gregory
    guillaume hans harry heather helen henrik henry hui ian igor irina ivan jack jacques james jan jane janet jason
    jay jean jeff jennifer jens jessica jie jim jing joan joe john jon jonathan jorge jose joseph joshua juan judy
    julia julie jun justin karen kate kathy keith kelly ken kenneth kevin kim kumar kyle larry laura lee lei linda
    lisa louis luca luis lynn manuel marc marco margaret maria marie marina mario mark markus martha martin mary matt
    matthew maurice max melissa michael michel michele michelle miguel mike ming minh mohamed mohammed monica nancy
    natalia nathan neil nicholas nick nicolas nicole nikhil oleg oliver olivier pablo pat patricia patrick paul paula
    pavel pedro peng peter phil philip philippe pierre priya rachel rahul raj rajesh ralph ravi ray raymond rebecca
    ricardo richard rick rob robert roberto robin roger roland roman ron ronald rose roy russell ruth ryan sam samuel
    sandra sanjay sara sarah scott sean sergey sergio sharon simon sophie stefan stephanie stephen steve steven stuart
    sue sunil suresh susan suzanne sven sylvia ted teresa terry thomas tim timothy tina todd tom tony victor vijay
    vincent vladimir walter wayne wei wendy will william wolfgang xin yan yang ying yong yu yuan yuri
    """
)

MOST_COMMON_SURNAMES: Final = words(
    """
    anderson brown chan chang chen cheng cho choi clark cruz das davis diaz fernandez fischer garcia gomez gonzalez
    gupta hall harris hernandez ho hu huang jackson johnson jones kelly khan kim kumar lam le lee lewis li lin liu
    long lopez lu ma martin martinez miller moore muller murphy nguyen patel perez pham ramirez ramos rao rivera
    roberts robinson rodriguez rossi russo sanchez schmidt schneider shah sharma silva singh smith sun suzuki tan
    tanaka taylor thomas thompson torres tran walker wang watson weber white williams wilson wong wright wu xu yang
    young zhang zhao zhou zhu
    """
)

COMMON_SURNAMES: Final = words(
    """
    adams aguilar ahmed alexander ali allen alvarez anderson andrews armstrong arnold austin bailey baker banerjee
    barnes bauer becker bell bennett berg bernard berry bianchi black boyd bradley braun brooks brown bryant burke
    burns butler campbell carlson carpenter carr carroll carter castillo castro chan chang chapman chavez chen cheng
    cho choi clark cole coleman collins cook cooper costa cox crawford cruz cunningham daniels das davis dean diaz
    dixon dubois duncan dunn edwards elliott ellis evans ferguson fernandez ferreira fischer fisher fleming ford
    foster fowler fox franklin fraser freeman fuller garcia gardner george ghosh gibson gill gomez gonzales gonzalez
    gordon graham grant gray green greene griffin gupta gutierrez hall hamilton han hansen hanson harper harris
    harrison hart harvey hawkins hayes henderson henry hernandez herrera hicks hill ho hoffman hoffmann holmes howard
    hu huang hudson hughes hunt hunter hussain ivanov jackson jacobs jain james jenkins jensen jimenez johansson
    johnson johnston jones jordan joseph joshi kaur keller kelley kelly kennedy khan kim king klein knight koch
    kowalski kuhn kumar kuznetsov lam lane larson lawrence lawson le lee lehmann leroy lewis li lin little liu long
    lopez lu ma maier marshall martin martinez mason matthews may mcdonald medina mehta mendoza meyer miller mills
    mitchell montgomery moore morales moreau morgan morris morrison mukherjee muller murphy murray myers nelson
    neumann newman nguyen nichols nielsen novak obrien oliver olsen olson ortiz owens palmer park parker patel payne
    pereira perez perkins perry peters petersen peterson petrov pham phillips pierce pope popov porter powell price
    rahman ramirez ramos rao ray reddy reed reid reyes reynolds rice richards richardson richter riley rivera roberts
    robertson robinson rodriguez rogers romero rose ross rossi ruiz russell russo ryan sanchez sanders santos sato
    schafer schmid schmidt schmitt schneider schroder schultz schulz schwartz scott shah sharma shaw silva simmons
    simon simpson singh smirnov smith snyder song souza spencer stephens stevens stewart stone sullivan sun suzuki
    takahashi tan tanaka tang taylor thomas thompson torres tran tucker turner vargas vasquez verma wagner walker
    wallace wang ward warren washington watanabe watkins watson weaver webb weber wells west wheeler white williams
    williamson willis wilson wolf wong wood woods wright wu xie xu yadav yamamoto yang young yu zhang zhao zhou zhu
    zimmermann
    """
)
