"""Phone numbers, dates and amounts of money in a text: found with care, normalised, each with its span."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import islice

from atom_backfill.mail.vocabulary import any_of, phrases, stems


@dataclass(frozen=True, slots=True)
class Value:
    """What stands in text[start:end]: `key` normalised, `properties` what is known besides."""

    start: int
    end: int
    key: str
    properties: tuple[tuple[str, str], ...] = ()


def phones_in(text: str, start: int, end: int, *, sure: bool = False) -> Iterator[Value]:
    """Find phone numbers; national ones need a word for it before them or a usual form, or `sure` (a signature).

    The key is `+` and digits where the country is written, digits alone where it is not.
    """
    for match in _PHONE.finditer(text, start, end):
        written = match[1]
        digits = "".join(filter(str.isdigit, written))
        international = written.startswith(("+", "00"))
        label = _PHONE_LABEL.search(text, max(start, match.start() - 28), match.start())
        if not _is_phone(written, len(digits), international=international, labelled=label is not None, sure=sure):
            continue
        key = f"+{digits.removeprefix('00')}" if international else digits
        kind = _PHONE_KINDS.get(label[1][:3].lower(), "phone") if label else "phone"
        extension = (("extension", match[2]),) if match[2] else ()
        yield Value(match.start(1), match.end(1), key, (("kind", kind), *extension))


def dates_in(text: str, start: int, end: int) -> Iterator[Value]:
    """Find dates that name their year and can be read in one way only; the key is ISO 8601."""
    # From the year outwards: four digits are rare, and most numbers are no dates.
    for year in _YEAR.finditer(text, start, end):
        for pattern, after in _DATE_FORMS:
            if after:
                match = pattern.match(text, year.start(), end)
            else:
                match = pattern.search(text, max(start, year.start() - 28), year.end())
            key = _iso(match, slashed="/" in match[0]) if match else None
            if match and key:
                yield Value(match.start(), match.end(), key)
                break


def amounts_in(text: str, start: int, end: int) -> Iterator[Value]:
    """Find amounts of money; the key is `EUR 1234.5`, whatever the notation."""
    if not any(text.find(word, start, end) >= 0 for word in _MONEY_WORDS):
        return
    last = start
    # From the sign outwards, for the same reason.
    for sign in islice(_MONEY.finditer(text, start, end), _MOST_SIGNS):
        match = _BEFORE.match(text, sign.start(), end) or _AFTER.search(text, max(last, sign.start() - 48), sign.end())
        if not match or match.start() < last:
            continue
        last = match.end()
        number, scale = match["number"], _SCALES.get((match["scale"] or "").strip().lower().rstrip("."), 1)
        # $1 is more often a variable than a price.
        if len(number) == 1 and scale == 1 and match.re is _BEFORE:
            continue
        written = sign[0].lower().rstrip(".")
        currency = _CURRENCIES.get(written, written.upper())
        value = format(_decimal(number) * scale, "f")
        value = value.rstrip("0").rstrip(".") if "." in value else value
        yield Value(match.start(), match.end(), f"{currency} {value}", (("currency", currency), ("value", value)))


def _is_phone(written: str, digits: int, *, international: bool, labelled: bool, sure: bool) -> bool:
    if not 7 <= digits <= 15 or (_NO_PHONE.fullmatch(written) and not international):
        return False
    if international:
        return digits >= 9
    if labelled:
        return True
    # Other national forms look like order numbers; only a word before them or a signature around them tells.
    if _AMERICAN.fullmatch(written):
        return True
    return sure and digits >= 8 and digits != len(written)


def _iso(match: re.Match[str], *, slashed: bool) -> str | None:
    written = match["month"]
    day = int(match["day"])
    month = int(written) if written.isdigit() else _MONTHS.get(written.lower(), 0)
    if slashed and day != month:
        if day <= 12 and month <= 12:
            # 3/4 is March in one country and April in another.
            return None
        day, month = max(day, month), min(day, month)
    try:
        return date(int(match["year"]), month, day).isoformat()
    except ValueError:
        return None


def _decimal(number: str) -> Decimal:
    """Read a number in any notation: a last sign with one or two digits after it parts the decimals."""
    last = max(number.rfind("."), number.rfind(","))
    whole, decimals = (
        (number[:last], number[last + 1 :]) if len(number) - last in (2, 3) and last > 0 else (number, "0")
    )
    return Decimal(f"{''.join(filter(str.isdigit, whole))}.{decimals}")


_MOST_SIGNS = 2_000
_PHONE = re.compile(
    r"(?<![\w.,/:+=#@-])(\+?\(?\d{1,14}(?:[ .\-/()\u00a0]{1,3}\d{1,10}){0,6})"
    r"(?:\s{0,2}(?:x|ext\.?|extension)\s{0,2}(\d{1,6}))?(?![\w@/:=-]|[.,]\d)",
    re.ASCII,
)
_NO_PHONE = re.compile(
    r"""(?x)
    (?:19|20)\d\d[-./ ]\d{1,2}[-./ ]\d{1,2}|\d{1,2}[-./ ]\d{1,2}[-./ ](?:19|20)?\d\d  # a date
    |(?:19|20)\d\d\s?[-/]\s?(?:19|20)\d\d|\d{5}-\d{4}                                 # years, an American ZIP code
    |\d{1,3}(?:\.\d{1,3}){3}|\d+\.\d+|\d{1,3}(?:[ .]\d{3})+                           # an IP address, a number
    """
)
_AMERICAN = re.compile(r"(?:1[-. ]?)?(?:\([2-9]\d\d\) ?|[2-9]\d\d[-. /])[2-9]\d\d[-. ]\d{4}")
_PHONE_LABEL = phrases(
    r"""
    \b(tel|telephone|phone|ph|fax|facsimile|mob|mobile|cell|cellular|call|dial|office|direct|desk|pager|handy|telefon
    telefax|téléphone|tél|portable|móvil|teléfono|cel|telefono|cellulare|telemóvel|gsm|mobil|тел|whatsapp
    sms)\b(?:[ .]{0,2}(?:no|nr|number|line|me|us|him|her))?[ .:#()]{0,4}(?:(?:at|on|is|am|unter|au)\s)?[ (]{0,3}$
    """
)
_PHONE_KINDS = {
    **dict.fromkeys(["fax", "fac"], "fax"),
    **dict.fromkeys(["mob", "cel", "han", "gsm", "móv", "por", "wha", "sms"], "mobile"),
    "pag": "pager",
}
_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)", re.ASCII)
_DATE_FORMS = (
    (re.compile(r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)(?!\d)", re.ASCII), True),
    (re.compile(r"(?P<year>\d{4})年\s?(?P<month>\d{1,2})月\s?(?P<day>\d{1,2})日", re.ASCII), True),
    (
        re.compile(
            r"(?<![\d.,/-])(?P<day>\d{1,2})(?:st|nd|rd|th|er|\.|º)?[ -](?:of |de |d'|di )?"
            r"(?P<month>[^\W\d_]{3,12})\.?,?[ -](?:de )?(?P<year>\d{4})$"
        ),
        False,
    ),
    (re.compile(r"\b(?P<month>[^\W\d_]{3,12})\.? (?P<day>\d{1,2})(?:st|nd|rd|th)?,? (?P<year>\d{4})$"), False),
    (re.compile(r"(?<![\d./-])(?P<day>\d{1,2})\. ?(?P<month>\d{1,2})\. ?(?P<year>\d{4})$", re.ASCII), False),
    (re.compile(r"(?<![\d./-])(?P<month>\d{1,2})/(?P<day>\d{1,2})/(?P<year>\d{4})$", re.ASCII), False),
)
_MONTH_NAMES = """
    january february march april may june july august september october november december
    januar februar märz april mai juni juli august september oktober november dezember
    janvier février mars avril mai juin juillet août septembre octobre novembre décembre
    enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre
    gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre
    janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro
    januari februari maart april mei juni juli augustus september oktober november december
    januari februari mars april maj juni juli augusti september oktober november december
    stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia
    января февраля марта апреля мая июня июля августа сентября октября ноября декабря
"""


def _month_words() -> dict[str, int]:
    """Map every beginning of three or more letters that means one month only."""
    found: dict[str, set[int]] = {"mrt": {3}, "sept": {9}}
    for line in _MONTH_NAMES.strip().splitlines():
        for number, name in enumerate(line.split(), start=1):
            for length in range(3, len(name) + 1):
                found.setdefault(name[:length], set()).add(number)
    return {name: min(numbers) for name, numbers in found.items() if len(numbers) == 1}


_MONTHS = _month_words()
_CURRENCIES = {
    "€": "EUR", "euro": "EUR", "euros": "EUR", "$": "USD", "us$": "USD", "dollar": "USD", "dollars": "USD",
    "£": "GBP", "¥": "JPY", "₹": "INR", "₽": "RUB", "₩": "KRW", "₪": "ILS", "₺": "TRY", "zł": "PLN", "r$": "BRL",
    "c$": "CAD", "ca$": "CAD", "a$": "AUD", "au$": "AUD", "nz$": "NZD", "hk$": "HKD", "s$": "SGD", "sfr": "CHF",
    "fr": "CHF", "kč": "CZK", "ft": "HUF", "руб": "RUB",
}  # fmt: skip
_SCALES = {
    **dict.fromkeys(["k", "thousand", "tsd", "mila", "mil"], 1_000),
    **dict.fromkeys(
        ["m", "mn", "mm", "mio", "million", "millions", "millionen", "millones", "milioni", "milhões"], 10**6
    ),
    **dict.fromkeys(["bn", "b", "mrd", "billion", "billions", "milliarden", "milliards", "miliardi"], 10**9),
    "lakh": 100_000,
    "crore": 10**7,
}
_CODE_LIST = stems(
    """
    EUR|USD|GBP|CHF|CAD|AUD|NZD|JPY|CNY|RMB|INR|SEK|NOK|DKK|PLN|CZK|HUF|RON|BGN|RUB|UAH|TRY|ILS|AED|SAR|ZAR|BRL|MXN
    SGD|HKD|KRW|THB
    """
)
_CODES = any_of("|".join(_CODE_LIST))
_MONEY_WORDS = (*"$€£¥₹₽₩₪₺", *_CODE_LIST, "uro", "ollar", "SFr", "zł", "Kč", "kč", "руб")
_MONEY = re.compile(
    rf"(?<![A-Za-z$€£])(?:(?:US|CA|AU|NZ|HK|[CASR])?\$|[€£¥₹₽₩₪₺]|{_CODES}(?![A-Za-z])"
    r"|(?:[Ee]uros?|dollars?|SFr\.?|zł|[kK]č|Ft|руб)(?!\w))"
)
_NUMBER = r"\d{1,3}(?:[ .,'’\u00a0\u202f]\d{3})+(?:[.,]\d{1,2})?(?!\d)|\d{1,12}(?:[.,]\d{1,2})?(?![\d])"
_SCALE = rf"\s?{any_of(chr(10).join(sorted(map(re.escape, _SCALES), key=len, reverse=True)))}\.?\b"
_SIGN = r"(?:[A-Z]{0,3}\$|[€£¥₹₽₩₪₺]|[A-Z]{3}|SFr\.?)"
_BEFORE = re.compile(rf"{_SIGN}[ \u00a0]?(?P<number>{_NUMBER})(?P<scale>{_SCALE})?")
_AFTER = re.compile(
    rf"(?<![\w.,$€£-])(?P<number>{_NUMBER})(?P<scale>{_SCALE})?[ \u00a0]?(?:[^\W\d]{{2,7}}|[€£¥₹₽₩₪₺])\.?\Z"
)
