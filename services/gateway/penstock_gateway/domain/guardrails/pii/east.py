"""Persons in Japanese, Chinese and Arabic: by family names and what stands beside a name; these scripts have no capitals."""

from __future__ import annotations

import re
from collections.abc import Iterator

from penstock_gateway.domain.guardrails.pii.finding import Finding, Kind

_HAN = "\u4e00-\u9fff\u3005\u3006"
_KANA = "\u3041-\u3096\u30a1-\u30fa\u30fc"
_ANY = re.compile(f"[{_HAN}{_KANA}\uac00-\ud7a3\u0600-\u06ff]")
# Family names of two signs are looked for before those of one. Author's list.
_CHINESE_TWO = (
    "欧阳|司马|上官|诸葛|东方|皇甫|尉迟|公孙|慕容|令狐|夏侯|司徒|端木|百里|南宫|宇文|长孙|轩辕|歐陽|司馬|諸葛"
)
_CHINESE_ONE = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤常温康施文牛樊葛邢安齐易乔伍庞颜倪庄聂章鲁岳翟殷詹申欧耿关兰焦俞左柳甘祝包宁尚符舒阮柯纪梅童凌毕单季裴霍涂成苗谷曲盛冉翁蓝路游辛靳管柴蒙鲍华喻祁蒲房滕屈饶解牟艾尤阳时穆农司卓古吉缪简车项连芦麦褚娄窦戚岑景党宫费卜冷晏席卫"
    "張劉陳楊黃趙吳孫馬羅鄭謝許韓馮鄧蕭葉蘇呂盧鍾譚陸賈韋鄒顧龔萬錢嚴湯齊喬龐顏莊聶魯關"
)
_CHINESE = re.compile(
    rf"(?:(?P<cue>联系人|收件人|收货人|姓名|我叫|我是|我的名字(?:是|叫)|名叫|客户|患者|经理|同事|业主|租客|司机|老师|负责人|申请人|持卡人|户主|签收人|投保人|被保险人|乘客|叫做|聯絡人|姓名)[:： ]?)?"
    rf"(?P<name>(?:{_CHINESE_TWO})[{_HAN}]{{1,2}}|[{_CHINESE_ONE}][{_HAN}]{{1,2}})(?P<behind>先生|女士|小姐|老师|经理|医生|同学|师傅|主任|教授)?"
)
_CHINESE_STARTS = re.compile(r"(?:^|[\s,，。；;、:：(（\"“和与跟给向]|我叫|我是|叫)$")
_CHINESE_ENDS = re.compile(
    r"(?:$|[\s,，。；;、!！?？)）\"”:：(（]|的|已|和|与|在|于|将|说|要|住|电话|手机|身份证|护照|先生|女士|出生|是|来|生)"
)
_NO_CHINESE = re.compile(
    r"^(?:时间|关于|成功|文件|安全|万元|方便|方法|高速|白色|黄色|金额|石油|常见|向您|任何|任务|于是|经理|单号|成本|成立|解决|管理|包括|路由|农业|简单|连接|项目|车辆|费用|景区|党员|江苏|温度|余额|游客|安装|安排|史上|欧洲|广州|杭州|苏州|郑州|徐州|温州|宁波|武汉|石家庄|马上|马路|文档|章节|季度|和|古代|金融|华为|阳台|尚未|时候|项|付款|盛大|谢谢|康复|高兴|关系|梅雨|田地|房间|施工|单位|白天|黄金|吉林|路上|明天|何时|何人|常用|严重|钱包|毛巾)"
)
_JAPANESE_SURNAMES = (
    "佐藤|鈴木|高橋|田中|伊藤|渡辺|渡邊|山本|中村|小林|加藤|吉田|山田|佐々木|山口|松本|井上|木村|清水|斎藤|斉藤|齋藤|山崎|池田|橋本|阿部|石川|山下|中島|石井|小川|前田|岡田|長谷川|藤田|後藤|近藤|村上|遠藤|青木|坂本|福田|太田|西村|藤井|金子|岡本|三浦|藤原|中野|原田|中川|松田|竹内|小野|田村|中山|和田|石田|森田|上田|"
    "柴田|酒井|横山|宮崎|工藤|宮本|内田|高木|安藤|谷口|大野|今井|丸山|河野|藤本|村田|武田|上野|杉山|増田|平野|大塚|千葉|久保|松井|小島|岩崎|野口|桜井|櫻井|松尾|野村|木下|菊地|菊池|佐野|大西|杉本|新井|浜田|濱田|市川|古川|水野|小松|島田|小山|高野|山内|西田|西川|五十嵐|北村|安田|中田|川口|平田|川崎|飯田|吉川|本田|久保田|沢田|吉村|中西|岩田|服部|樋口|福島|川上|永井|松岡|田口|山中|森本|土屋|矢野|広瀬|秋山|石原|松下|大橋|松浦|吉岡|小池|馬場|浅野|荒木|大久保|野田|"
    "小野寺|長谷部|鹿島|神谷|熊谷|児玉|黒田|黒木|桐生|榎本|結城|早川|早乙女|朝倉|綾瀬|有馬|白石|白井|瀬戸|相馬|大谷|大和田|三宅|三好|水谷|望月|本間|本多|堀内|堀田|平井|平山|日高|東条|成田|中尾|中谷|富田|戸田|津田|辻本|千田|竹田|竹中|高田|高山|高島|園田|須藤|杉浦|下田|篠原|篠田|塩田|椎名|坂井|坂口|榊原|佐伯|西岡|西尾|西本|西山|根本|野崎|萩原|長尾|奥田|奥村|大島|大石|大森|大川|大沢|岡崎|岡村|緒方|小倉|小沢|小田|小原|織田|梅田|植田|上村|上原|岩本|今村|今田|伊東|石橋|石塚|飯塚|安達|足立|浅井|秋元|青山"
)
_JAPANESE = re.compile(
    rf"(?<![{_HAN}])(?P<name>(?:{_JAPANESE_SURNAMES})[ 　]?(?:[{_HAN}]{{1,3}}|[{_KANA}]{{2,4}}(?=さん|様|氏|くん|ちゃん|先生|です|と申|といい))|(?:{_JAPANESE_SURNAMES})(?=さん|様|氏|くん|ちゃん|先生|と申|です))"
    rf"(?P<behind>さん|様|氏|くん|君|ちゃん|先生|です|と申します|といいます|宛|の|は|が|を|に|と|へ|[、。,. （(/:：]|$)"
)
# Of one sign; they stand in many other words, so a space or a form of address has to say that it's a name.
_SHORT_SURNAMES = "岡|南|林|森|原|東|堀|星|平|谷|菅|堤|関|辻|西|北|島|浜|泉|柳|桂|梶|榊|畑|沖|窪|轟|宮"
_JAPANESE_SHORT = re.compile(
    rf"(?<![{_HAN}])(?P<name>(?:{_SHORT_SURNAMES})[ 　][{_HAN}]{{1,3}}|(?:{_SHORT_SURNAMES})[{_HAN}]{{0,2}}(?=さん|様|氏|先生|と申))"
)
_JAPANESE_CUED = re.compile(
    rf"(?P<cue>名前は|氏名[:：は ]{{1,2}}|担当[:：は者の ]{{1,3}}|お客様名[:：]|宛名[:：]|患者[:：は]|私は|わたしは|生まれの)(?P<name>[{_HAN}]{{1,4}}[ 　]?[{_HAN}{_KANA}]{{1,4}}?)(?=です|と申|といい|さん|様|、|。|,|$|\s)|"
    rf"(?P<polite>[{_HAN}]{{2,4}}[ 　][{_HAN}]{{1,3}}|[{_HAN}]{{2,5}})(?=さん(?!間)|様(?!々|子|式)|氏(?!名)|と申します)"
)
_NO_JAPANESE = re.compile(
    r"(?:お客|皆|神|王|殿|奥|お子|担当者|各位|御中|課|部|係|店|会社|先生|患者|部長|課長|社長|氏名|株式|同|有|無|仕|模|多)$"
)
_KATAKANA = re.compile(
    r"(?<![\u30a1-\u30fa\u30fc])[\u30a1-\u30fa\u30fc]{2,10}[・=＝][\u30a1-\u30fa\u30fc]{2,12}(?=さん|様|氏|です|と申|、|。|は|が)"
)
_ARABIC_WORD = "[\u0621-\u064a\u0640\u064b-\u0652]{2,14}"
_ARABIC = re.compile(
    rf"(?<![\u0621-\u064a])(?:(?:اسمي|إسمي|أنا|انا|اسمه|اسمها|السيد|السيدة|الآنسة|الدكتور|الدكتورة|د\.|الأستاذ|الأستاذة|المهندس|المهندسة|العميل|العميلة|المريض|المريضة|ولد|ولدت|الموظف|الموظفة|الاسم|باسم|صديقي|صديقتي|أخي|أختي|زوجتي|زوجي|والدي|والدتي|عزيزي|عزيزتي|مرحبا يا|المستلم|المرسل|الشيخ|يدعى|تدعى)(?:\s?[:：])?\s+)"
    rf"(?P<name>{_ARABIC_WORD}(?:\s+(?:بن|بنت|أبو|ابو|عبد|آل)?\s?{_ARABIC_WORD}){{0,3}}?)(?=\s*(?:[،,.؛:!؟\n(]|$|\s(?:و|في|من|على|هاتف|رقم|بريد|وبريدي|وهاتفي|وأسكن|أسكن|أريد|اريد|وأريد|وأعيش|أعيش|وأعمل|أعمل|بتاريخ|عام|سنة|المولود|وصل|طلب|اتصل|قال|كان|هو|هي|وقع|دفع|حضر|غير|هنا|\d)))"
)
_NO_ARABIC = re.compile(
    r"^(?:في|من|على|هنا|لا|لم|لست|أريد|اريد|أعمل|أعيش|أسكن|متأكد|سعيد جدا|آسف|بحاجة|مهتم|عميل|طالب|جديد|الآن)(?:\s|$)"
)
_KOREAN = re.compile(
    r"(?<![\uac00-\ud7a3])(?P<name>[김이박최정강조윤장임한오서신권황안송류전홍고문양손배백허유남심노하곽성차주우구나민진지엄채원천방공현함변염여추도소석선설마길연위표명기반왕금옥육인맹제모탁국어은편용][\uac00-\ud7a3]{2})(?=\s?(?:씨|님|입니다|이고|이라고|과장|대리|부장|선생))"
)


def eastern_persons(text: str) -> Iterator[Finding]:
    """Yield the persons of a text in scripts without capitals."""
    if text.isascii() or not _ANY.search(text):
        return
    has_kana = re.search(f"[{_KANA}]", text) is not None
    if has_kana:
        yield from _japanese(text)
    elif re.search(f"[{_HAN}]", text):
        yield from _chinese(text)
    for pattern in (_ARABIC, _KOREAN):
        for match in pattern.finditer(text):
            if not _NO_ARABIC.match(match["name"]):
                yield Finding(Kind.PERSON, *match.span("name"), 0.8)


def _japanese(text: str) -> Iterator[Finding]:
    for match in _JAPANESE.finditer(text):
        yield Finding(Kind.PERSON, *match.span("name"), 0.8)
    for match in _JAPANESE_SHORT.finditer(text):
        yield Finding(Kind.PERSON, *match.span("name"), 0.75)
    for match in _JAPANESE_CUED.finditer(text):
        group = "name" if match["name"] else "polite"
        if not _NO_JAPANESE.search(match[group]):
            yield Finding(Kind.PERSON, *match.span(group), 0.75)
    for match in _KATAKANA.finditer(text):
        yield Finding(Kind.PERSON, match.start(), match.end(), 0.8)


def _chinese(text: str) -> Iterator[Finding]:
    place = 0
    while match := _CHINESE.search(text, place):
        place = match.start() + 1
        if span := _chinese_name(text, match):
            yield Finding(Kind.PERSON, *span, 0.8)
            place = span[1]


def _chinese_name(text: str, match: re.Match[str]) -> tuple[int, int] | None:
    """Return where a name is: introduced, with a title, or between two marks."""
    start, end = match.span("name")
    if _NO_CHINESE.match(text, start):
        return None
    if match["behind"]:
        return start, end
    introduced = match["cue"] or _CHINESE_STARTS.search(text, max(0, start - 4), start)
    for stop in (end, end - 1):
        if stop - start >= 2 and introduced and _CHINESE_ENDS.match(text, stop):
            return start, stop
    return (start, end) if match["cue"] else None
