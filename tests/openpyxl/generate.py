#!/usr/bin/env python3
"""Workbooks from a seed, written by hand as odd as XML and the standard allow, and what openpyxl reads in them.

    python3.11 -m venv target/openpyxl
    target/openpyxl/bin/pip install -r tests/openpyxl/requirements.txt
    target/openpyxl/bin/python tests/openpyxl/generate.py --seed 1 --workbooks 10000 > target/openpyxl.jsonl
    PENSTOCK_OPENPYXL=target/openpyxl.jsonl cargo test --workspace --test suite openpyxl:: -- --nocapture

Each line is `{"seed", "workbook", "parts": {name: text}, "utf16": [name, …], "sheets": {name: [[row, column, type, value], …]}}`: the parts of
the workbook, those of them that are encoded as UTF-16, and the cells that openpyxl finds, rows and columns from 0. Types are `text`,
`number`, `boolean`, `date` and `error`; cells that hold nothing are not there, nor are empty texts, which openpyxl does not tell from them.
The committed sample is made with `--seed 1 --workbooks 30`; workbook n of a seed is the same however many are asked for.

What is not written, since openpyxl reads it otherwise than Excel does: escapes such as `_x000D_`, white space at the ends of a text without
`xml:space="preserve"`, 29 February 1900, days before it all, formats that fill (`*`), and those of East Asian locales.
"""

import argparse
import datetime
import io
import json
import random
import sys
import warnings
import zipfile

import openpyxl

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
TYPES = "application/vnd.openxmlformats-officedocument.spreadsheetml"

CODES = [
    "General", "0.00", "#,##0", "dd/mm/yyyy", "yyyy-mm-dd hh:mm:ss", "h:mm AM/PM", "[h]:mm:ss", "[mm]:ss", '"day" 0', "0\\d", "[Red]0.0;[Blue]-d",
    "[$-404]yyyy/mm", "mmm\\-yy;@", "@", "0_d", "[s].000", '0 "m"', "d",
]
BUILT_IN = [0, 1, 2, 4, 9, 10, 14, 15, 16, 17, 18, 19, 20, 21, 22, 45, 46, 47, 48, 49]
WORDS = ["a", "Lamp", "42", "Größe", "日本", "\U0001f4f7", "<b>", "A & B", "x]]>y", "'", '"', "=1+1", "TRUE", "#N/A", "1,5", "2026-11-21", "\u00a0", "_"]
NAMES = ["Stock", "T&o", "日本", "a 'b'", 'q"q', "Sheet <1>", "Ünïcode", "S"]


class Workbook:
    def __init__(self, seed, number):
        self.random = random.Random(f"{seed}/{number}")
        self.parts, self.utf16, self.shared = {}, [], []
        # How often something odd is said between tags.
        self.oddity = self.pick([0, 0, 4, 12, 40])
        self.prefix = self.pick(["", "", "", "x:"])

    def once_in(self, times):
        return self.random.randrange(times) == 0

    def pick(self, values):
        return self.random.choice(values)

    # XML

    def odd(self):
        """What may stand between any two tags."""
        if not self.oddity or not self.once_in(max(2, 60 // self.oddity)):
            return ""
        return self.pick(["<!-- by hand -->", "<?pi x?>", "\n", "  ", "<!---->", "<!-- <row r='1'> & > -->", "<?mso-application progid='Excel'?>"])

    def attributes(self, pairs):
        pairs = [(name, value) for name, value in pairs if value is not None]
        if self.once_in(3):
            self.random.shuffle(pairs)
        text = ""
        for name, value in pairs:
            quote = self.pick(['"'] * 5 + ["'"])
            value = str(value).replace("&", "&amp;").replace("<", "&lt;").replace(quote, "&#34;" if quote == '"' else "&apos;")
            space = self.pick([" "] * 9 + ["\n", "  "])
            equals = self.pick(["="] * 19 + [" = "])
            text += f"{space}{name}{equals}{quote}{value}{quote}"
        return text

    def tag(self, name, pairs, inner=""):
        name = self.prefix + name
        if not inner and self.once_in(2):
            return f"<{name}{self.attributes(pairs)}{self.pick(['', ' '])}/>"
        return f"<{name}{self.attributes(pairs)}>{inner}</{name}{self.pick([''] * 9 + [' '])}>"

    def escaped(self, text):
        if text and "]]>" not in text and self.once_in(6):
            at = self.random.randrange(len(text))
            return self.plain(text[:at]) + f"<![CDATA[{text[at:]}]]>"
        if len(text) > 1 and self.oddity and self.once_in(5):
            at = self.random.randrange(len(text))
            return self.plain(text[:at]) + "<!-- & -->" + self.plain(text[at:])
        return self.plain(text)

    def plain(self, text):
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace("]]>", "]]&gt;").replace("\r", "&#13;")
        if text and self.once_in(8):
            at = self.random.randrange(len(text))
            if text[at].isalnum():
                form = self.pick(["&#{};", "&#x{:x};", "&#x{:X};"]).format(ord(text[at]))
                text = text[:at] + form + text[at + 1 :] if "&" not in text else text
        return text

    def part(self, name, root, pairs, inner):
        prefix = self.prefix.rstrip(":")
        self.write(name, self.tag(root, [(f"xmlns:{prefix}" if prefix else "xmlns", MAIN), ("xmlns:r", RELATIONS), *pairs], inner))

    def write(self, name, text):
        start = self.pick(['<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\r\n', "<?xml version='1.0'?>", "", "<?xml version=\"1.0\"?><!-- by an ERP -->"])
        if self.once_in(25) and not name.startswith("["):
            self.utf16.append(name)
            start = '<?xml version="1.0" encoding="UTF-16"?>'
        self.parts[name] = start + text + self.pick(["", "\n", "<!-- end -->"])

    # Cells

    def text(self):
        words = [self.pick(WORDS) for _ in range(self.pick([1, 1, 1, 2, 3]))]
        text = self.pick([" ", "", "\n", "\t"]).join(words)
        return self.pick([""] + [text] * 20 + [" " + text, text + "\n", "x" * 400, text + "\r"])

    def t(self, text):
        space = "preserve" if text.strip() != text or self.once_in(9) else None
        return self.tag("t", [("xml:space", space)], self.escaped(text))

    def rich(self, text):
        """The content of `si` or `is`."""
        if not self.once_in(4):
            return self.odd() + self.t(text) + self.odd()
        at = self.random.randint(0, len(text))
        run = lambda text: self.tag("r", [], self.pick(["", self.tag("rPr", [], self.tag("b", []))]) + self.t(text))
        sound = self.tag("rPh", [("sb", 0), ("eb", 1)], self.t("no")) if self.once_in(3) else ""
        return run(text[:at]) + self.odd() + run(text[at:]) + sound

    def number(self):
        match self.random.randrange(8):
            case 0 | 1:
                return str(self.random.randint(-1000, 100000))
            case 2 | 3:
                return f"{self.random.uniform(-1e4, 1e6):.{self.random.randint(1, 4)}f}"
            case 4:
                return repr(self.random.uniform(-1, 1) * 10 ** self.random.randint(-12, 18))
            case 5:
                return self.pick(["0", "-0", "1E3", "1.5e-7", "0.1", "0.30000000000000004", "9007199254740991", "340123450000000018", " 7 ", "00012", "1e21"])
            case 6:
                return str(self.random.randint(10**11, 10**14))
            case _:
                return repr(self.random.randint(1, 60000) / self.pick([2, 3, 4, 8, 100]))

    def serial(self, elapsed):
        if elapsed:
            return repr(self.random.randint(0, 300000) / 86400)
        day = self.pick([self.random.randint(61, 60000), self.random.randint(1, 59), self.random.randint(61, 2958400), 0])
        part = self.pick([0, 0, self.random.randint(0, 86399) / 86400, self.random.randint(0, 86399999) / 86400000])
        value = day + part
        return str(day) if part == 0 and self.once_in(2) else repr(float(value))

    def cell(self, reference):
        style = self.random.randrange(len(self.styles)) if self.once_in(3) else None
        kind = self.pick(["shared"] * 6 + ["inline"] * 3 + ["number"] * 6 + ["date"] * 3 + ["boolean", "error", "formula", "text", "nothing", "missing"])
        formula = self.tag("f", self.pick([[], [("t", "shared"), ("si", 0)]]), self.plain('IF(A1<>"","",A1&"x")')) if self.once_in(6) else ""
        v = lambda text: formula + self.odd() + self.tag("v", [], self.escaped(text)) + self.odd()
        name, inner = None, ""
        match kind:
            case "shared":
                name, inner = "s", v(str(self.share()))
            case "inline":
                name, inner = "inlineStr", self.odd() + self.tag("is", [], self.rich(self.text()))
            case "number":
                name = self.pick([None, None, "n"])
                is_date = style is not None and self.shown[style] != "number"
                inner = v(self.serial(self.shown[style] == "elapsed") if is_date else self.number())
            case "date":
                dates = [at for at, shown in enumerate(self.shown) if shown != "number"]
                if dates:
                    style = self.pick(dates)
                    inner = v(self.serial(self.shown[style] == "elapsed"))
            case "boolean":
                name, inner = "b", v(self.pick("01"))
            case "error":
                name, inner = "e", v(self.pick(["#N/A", "#DIV/0!", "#REF!", "#VALUE!", "#NAME?", "#NUM!", "#NULL!", "#SPILL!"]))
            case "formula":
                name, inner = "str", v(self.text())
            case "text":
                name, inner = "str", formula + self.tag("v", [])
            case "missing":
                inner = self.tag("f", [], "1+1") + self.pick(["", self.tag("v", [])])
        if inner and self.once_in(30):
            inner += self.tag("extLst", [], self.tag("ext", [("uri", "{x}")], self.tag("v", [], "no")))
        return self.tag("c", [("r", reference), ("s", style), ("t", name)], inner)

    def share(self):
        if self.shared and self.once_in(2):
            return self.random.randrange(len(self.shared))
        self.shared.append(self.text())
        return len(self.shared) - 1

    def sheet(self, path):
        rows, row = "", 0
        says_where = self.pick([0, 0, 0, 2, 10])
        for _ in range(self.pick([0, 1, 2, 4, 8, 15])):
            gap = self.pick([0] * 8 + [1, 3, 40])
            row += 1 + gap
            named = gap > 0 or not (says_where and self.once_in(says_where))
            cells, column = "", 0
            for _ in range(self.pick([0, 1, 3, 6, 6, 9])):
                gap = self.pick([0] * 9 + [1, 2, 30])
                column += 1 + gap
                if column > 900:
                    break
                placed = gap > 0 or not (says_where and self.once_in(says_where))
                # Without a row of its own the cell would be in the first.
                cells += self.odd() + self.cell(f"{letters(column)}{row}" if placed else None)
            pairs = [("r", row if named else None), ("spans", "1:3" if self.once_in(4) else None), ("ht", "15" if self.once_in(9) else None)]
            rows += self.odd() + self.tag("row", pairs, cells + self.odd())
        dimension = self.pick(["", "A1", "A1:C9", "1:4", "#REF!", "A1:XFD1048576", "C3:A1", "A", "Tabelle1!A1"])
        inner = self.odd() + (self.tag("dimension", [("ref", dimension)]) if dimension and self.once_in(2) else "")
        inner += self.odd() + self.tag("sheetData", [], rows) + self.odd()
        inner += self.pick(["", self.tag("pageMargins", [(side, "0.7") for side in ["left", "right", "top", "bottom", "header", "footer"]])])
        self.part(path, "worksheet", [], inner)

    # Parts

    def build(self):
        codes = {164 + at: self.pick(CODES) for at in range(self.random.randrange(4))}
        self.styles = [0] + [self.pick(BUILT_IN + list(codes) * 6) for _ in range(self.random.randrange(6))]
        self.shown = [shown(format, codes) for format in self.styles]
        names = self.random.sample(NAMES, self.pick([1, 1, 2, 3]))
        folder = self.pick(["worksheets/", "worksheets/", "Worksheets/", ""])
        absolute = self.once_in(3)
        relations, sheets, overrides = "", "", []
        for at, name in enumerate(names):
            path = f"{folder}sheet{at + 1}.xml"
            self.sheet(f"xl/{path}")
            overrides.append((f"/xl/{path}", "worksheet+xml"))
            relations += f'<Relationship Id="rId{at + 1}" Type="{RELATIONS}/worksheet" Target="{"/xl/" if absolute else ""}{path}"/>'
            state = self.pick([None, "visible", "hidden"]) if at > 0 else None
            sheets += self.odd() + self.tag("sheet", [("name", name), ("sheetId", at + 1), ("state", state), ("r:id", f"rId{at + 1}")])
        properties = self.tag("workbookPr", [("date1904", self.pick([None, "0", "1"]))])
        self.part("xl/workbook.xml", "workbook", [], self.odd() + properties + self.tag("sheets", [], sheets) + self.odd())
        overrides.append(("/xl/workbook.xml", "sheet.main+xml"))
        formats = "".join(self.odd() + self.tag("numFmt", [("numFmtId", format), ("formatCode", code)]) for format, code in codes.items())
        styles = self.tag("numFmts", [("count", self.random.randrange(9))], formats) if codes else ""
        blank = [("numFmtId", 0), ("fontId", 0), ("fillId", 0), ("borderId", 0)]
        styles += self.tag("fonts", [], self.tag("font", [])) + self.tag("fills", [], self.tag("fill", [], self.tag("patternFill", [])))
        styles += self.tag("borders", [], self.tag("border", [])) + self.tag("cellStyleXfs", [], self.tag("xf", blank))
        styles += self.tag("cellXfs", [], "".join(self.odd() + self.tag("xf", [("numFmtId", format), *blank[1:], ("xfId", 0)]) for format in self.styles))
        self.part("xl/styles.xml", "styleSheet", [], styles)
        overrides.append(("/xl/styles.xml", "styles+xml"))
        relations += f'<Relationship Id="rIdS" Type="{RELATIONS}/styles" Target="styles.xml"/>'
        if self.shared or self.once_in(2):
            texts = "".join(self.odd() + self.tag("si", [], self.rich(text)) for text in self.shared)
            counts = [("count", self.random.randrange(99)), ("uniqueCount", self.pick([None, len(self.shared), 0, 99999999999]))]
            self.part("xl/sharedStrings.xml", "sst", counts, texts)
            overrides.append(("/xl/sharedStrings.xml", "sharedStrings+xml"))
            relations += f'<Relationship Id="rIdT" Type="{RELATIONS}/sharedStrings" Target="sharedStrings.xml"/>'
        self.write("xl/_rels/workbook.xml.rels", f'<Relationships xmlns="{PACKAGE}/relationships">{relations}</Relationships>')
        own = f'<Relationship Id="rId1" Type="{RELATIONS}/officeDocument" Target="{self.pick(["", "/"])}xl/workbook.xml"/>'
        self.write("_rels/.rels", f'<Relationships xmlns="{PACKAGE}/relationships">{self.odd()}{own}</Relationships>')
        if self.once_in(4):
            self.parts["customXml/item1.xml"] = "<p><Keywords><![CDATA[price list; 2024]]></Keywords></p>"
        defaults = '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/>'
        types = "".join(f'<Override PartName="{part}" ContentType="{TYPES}.{kind}"/>' for part, kind in overrides)
        self.write("[Content_Types].xml", f'<Types xmlns="{PACKAGE}/content-types">{defaults}{types}</Types>')


def letters(column):
    text = ""
    while column > 0:
        column, last = divmod(column - 1, 26)
        text = chr(65 + last) + text
    return text


def shown(format, codes):
    """Which serial numbers a format may be given, as openpyxl takes it; whether Penstock does too is what is compared."""
    code = codes.get(format) or openpyxl.styles.numbers.BUILTIN_FORMATS.get(format)
    if not openpyxl.styles.numbers.is_date_format(code):
        return "number"
    return "elapsed" if openpyxl.styles.numbers.is_timedelta_format(code) else "moment"


def archived(workbook):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in workbook.parts.items():
            archive.writestr(name, text.encode("utf-16" if name in workbook.utf16 else "utf-8"))
    return file


def clock(hour, minute, second, microsecond):
    return f"{hour:02}:{minute:02}:{second:02}" + (f".{microsecond // 1000:03}" if microsecond else "")


def told(cell):
    """What a cell holds: its type and its value."""
    value = cell.value
    if cell.data_type == "e":
        return "error", value
    match value:
        case None | "":
            return None
        case bool():
            return "boolean", value
        case str():
            return "text", value
        case int() | float():
            # As text: a parser of JSON may be an ulp off.
            return "number", repr(value)
        case datetime.timedelta():
            seconds = round(value.total_seconds())
            return "date", f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        case datetime.time():
            return "date", clock(value.hour, value.minute, value.second, value.microsecond)
        case datetime.datetime():
            day, time = f"{value.year:04}-{value.month:02}-{value.day:02}", value.time()
            return "date", day if time == datetime.time() else f"{day}T{clock(time.hour, time.minute, time.second, time.microsecond)}"
    raise TypeError(type(value))


def read(file):
    sheets = {}
    for sheet in openpyxl.load_workbook(file, data_only=True).worksheets:
        cells = [(cell.row - 1, cell.column - 1, told(cell)) for row in sheet.iter_rows() for cell in row]
        sheets[sheet.title] = [[row, column, *what] for row, column, what in cells if what]
    return sheets


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options.add_argument("--workbooks", type=int, default=10000)
    options = options.parse_args()
    warnings.simplefilter("ignore")
    print(f"seed {options.seed}", file=sys.stderr)
    cells = 0
    for number in range(options.workbooks):
        workbook = Workbook(options.seed, number)
        workbook.build()
        sheets = read(archived(workbook))
        cells += sum(len(cells) for cells in sheets.values())
        line = {"seed": options.seed, "workbook": number, "parts": workbook.parts, "utf16": workbook.utf16, "sheets": sheets}
        print(json.dumps(line, ensure_ascii=False, separators=(",", ":")))
    print(f"{options.workbooks} workbooks, {cells} cells", file=sys.stderr)


if __name__ == "__main__":
    main()
