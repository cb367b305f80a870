#!/usr/bin/env python3
"""Tables and schemas from a seed, and what frictionless-py says of each cell.

    python3.11 -m venv target/frictionless
    target/frictionless/bin/pip install -r tests/frictionless/requirements.txt
    target/frictionless/bin/python tests/frictionless/generate.py --seed 1 --tables 10000 > target/frictionless.jsonl
    PENSTOCK_FRICTIONLESS=target/frictionless.jsonl cargo test --workspace --test suite frictionless:: -- --nocapture

Each line is `{"seed", "table", "schema", "cells": [[field, text, verdict], …]}`; the schema is one of Penstock's, the verdict `true`,
`false`, or `null` where frictionless raises instead of answering. The committed sample is made with `--seed 1 --tables 200`; table n of a seed is the
same however many are asked for. The schemas keep to what Penstock supports, but for the format `any` of dates and times.
"""

import argparse
import json
import random
import sys

from frictionless import Schema

SPACES = [" ", "\t", "\u00a0", "\u2003", "\n", "\r\n", "\x1c"]


class Table:
    def __init__(self, seed, number):
        self.random = random.Random(f"{seed}/{number}")

    def once_in(self, times):
        return self.random.randrange(times) == 0

    def pick(self, values):
        return self.random.choice(values)

    def some(self, values, least=1):
        return self.random.sample(values, self.random.randint(least, len(values)))

    # Schemas

    def schema(self):
        fields = [{"name": "key", "type": "string", "constraints": {"required": True}}]
        cells = []
        for number in range(self.random.randint(1, 4)):
            kind = self.pick(
                ["string"] * 5 + ["integer"] * 2 + ["number"] * 3 + ["boolean"] * 2 + ["date"] * 2 + ["datetime"] * 2
                + ["time"] * 2 + ["year", "array", "object", "any"]
            )
            field = {"name": f"{kind}{number}", "type": kind}
            good = getattr(self, kind)(field)
            constraints = field.setdefault("constraints", {})
            if self.once_in(4):
                constraints["required"] = self.pick([True, True, False])
            if not constraints:
                del field["constraints"]
            fields.append(field)
            cells.append((field, good))
        schema = {"name": "table", "primaryKey": ["key"], "fields": fields}
        if self.once_in(3):
            schema["missingValues"] = self.some(["", "-", "NA", "null", "n/a", "0", " ", "none"], 0)
        return schema, cells

    def string(self, field):
        format = self.pick([None, None, "email", "uri", "uuid", "default"])
        if format:
            field["format"] = format
        if format == "email":
            return self.email
        if format == "uri":
            return self.uri
        if format == "uuid":
            return self.uuid
        rules = field["constraints"] = {}
        if self.once_in(2):
            rules["minLength"] = self.random.randint(0, 4)
        if self.once_in(2):
            rules["maxLength"] = self.random.randint(4, 8)
        if self.once_in(3):
            rules["pattern"] = self.pick(
                ["[a-z]+", "[A-Z]{2}\\d{3}", "\\d+", "a|b", "ab|cd?", "(a|b)c*", ".*", "[^,]*", "\\w+\\s\\w+", "x?y", "^ab$", "[äöü]+",
                 "\\S+", "(?i:abc)", "a.c", "[0-9]{1,3}(\\.[0-9]{3})*"]
            )
        elif self.once_in(3):
            rules["enum"] = self.some(["red", "green", "blue", "", "Red", "1", "ä"])
        return self.words

    def numbers(self, field, whole):
        rules = field["constraints"] = {}
        point = "."
        if self.once_in(3):
            field["bareNumber"] = self.pick([False, False, True])
        if not whole and self.once_in(3):
            point = field["decimalChar"] = self.pick([",", ".", "·", "@"])
        if self.once_in(3):
            field["groupChar"] = self.pick([c for c in [",", ".", " ", "'", "\u00a0"] if c != point])

        def bound(number):
            text = f"{number}" if whole else f"{number}.{self.pick(['0', '5', '25'])}"
            if self.once_in(3):
                return text.replace(".", point)
            return int(text) if whole else float(text)

        if self.once_in(3):
            rules["minimum"] = bound(self.random.randint(-20, 3))
        if self.once_in(3):
            rules["maximum"] = bound(self.random.randint(4, 2000))
        elif self.once_in(4):
            rules["enum"] = [bound(number) for number in self.some([1, 5, 7, 10, 1234, -3])]
        group = field.get("groupChar", ",")
        return lambda: self.a_number(whole, point, group)

    def integer(self, field):
        return self.numbers(field, True)

    def number(self, field):
        return self.numbers(field, False)

    def boolean(self, field):
        words = ["true", "True", "TRUE", "1", "false", "False", "FALSE", "0", "yes", "no", "ja", "nein", "x", "", " y"]
        if self.once_in(2):
            self.random.shuffle(words)
            cut = self.random.randint(1, 6)
            if self.once_in(2):
                field["trueValues"] = words[:cut]
            if self.once_in(2):
                field["falseValues"] = words[cut : cut + self.random.randint(1, 6)]
        true = field.get("trueValues", ["true", "True", "TRUE", "1"])
        false = field.get("falseValues", ["false", "False", "FALSE", "0"])
        if set(true) & set(false):
            # A cell that is both is refused in a schema of Penstock's.
            del field["falseValues" if "falseValues" in field else "trueValues"]
            if set(field.get("trueValues", true[:0])) & {"false", "False", "FALSE", "0"}:
                del field["trueValues"]
            if set(field.get("falseValues", false[:0])) & {"true", "True", "TRUE", "1"}:
                del field["falseValues"]
        if self.once_in(5):
            field["constraints"] = {"enum": [self.pick([True, False])]}
        return lambda: self.pick(words + ["Yes", "tRUE", "2", "00", "truefalse"])

    DATES = ["%d/%m/%y", "%d.%m.%Y", "%Y%m%d", "%d %B %Y", "%b %d, %Y", "%Y-%j", "%m/%d/%Y", "%d%m%Y", "%A, %d %b %Y", "%d  %m  %Y", "%Y%%%m%%%d", "%a %d.%m.%y", "fmt:%Y/%m/%d"]
    TIMES = ["%H:%M", "%H%M%S", "%I:%M %p", "%H:%M:%S.%f", "%H:%M:%S%z", "%H.%M %p", "%I%p"]

    def temporal(self, field, formats, default, day, clock):
        format = self.pick([None, None, "default", "any"] + [self.pick(formats) for _ in range(6)])
        if format == "any" and not self.once_in(5):
            format = None
        if format:
            field["format"] = format
        plain = default if format in (None, "default", "any") else format.replace("fmt:", "")
        rules = field["constraints"] = {}

        def moment(fixed=False):
            year = self.pick([1969, 1970, 2000, 2023, 2024, 2026, 2026, 2026])
            month, date = self.random.randint(1, 12), self.random.randint(1, 28)
            hour, minute, second = self.random.randint(0, 23), self.random.randint(0, 59), self.random.randint(0, 59)
            if not fixed and self.once_in(6):
                year, month, date = self.pick([(2024, 2, 29), (2023, 2, 29), (2026, 4, 31), (2026, 12, 31), (0, 1, 1), (9999, 12, 31), (1, 1, 1), (2026, 1, 0), (2026, 13, 1)])
            if not fixed and self.once_in(6):
                hour, minute, second = self.pick([(24, 0, 0), (23, 59, 60), (0, 0, 0), (12, 0, 0), (25, 0, 0), (13, 60, 0)])
            if not fixed and plain == default and self.once_in(40):
                text = self.pick(["9999-12-31T23:30:00-05:30", "0001-01-01T00:30:00+01:00", "2026-W05-6T09:30:00"])
                return text if day and clock else self.pick(["09-05:30", "24-00:00"]) if clock else "2026-08- 7"
            return self.written(plain, year, month, date, hour, minute, second, fixed)

        if self.once_in(4):
            rules["minimum"] = moment(True)
        elif self.once_in(4):
            rules["maximum"] = moment(True)
        elif self.once_in(6):
            rules["enum"] = [moment(True) for _ in range(3)]
            return lambda: self.pick(rules["enum"]) if self.once_in(2) else moment()
        return moment

    def date(self, field):
        return self.temporal(field, self.DATES, "%Y-%m-%d", True, False)

    def datetime(self, field):
        both = [f"{day}{between}{clock}" for day in self.some(self.DATES) for clock in self.some(self.TIMES) for between in (" ", "T")]
        return self.temporal(field, both + ["%Y-%m-%dT%H:%M:%SZ"], "%Y-%m-%dT%H:%M:%S~", True, True)

    def time(self, field):
        return self.temporal(field, self.TIMES, "%H:%M:%S~", False, True)

    def year(self, field):
        rules = field["constraints"] = {}
        if self.once_in(3):
            rules["minimum"] = self.pick([1900, "2000"])
        if self.once_in(3):
            rules["maximum"] = self.pick([2030, "2026"])
        elif self.once_in(3):
            rules["enum"] = [2024, "2025", 2026]
        return lambda: self.pick(["2024", "2026", "1899", "0000", "9999", "26", "12026", "+202", "-001", " 202", "20_6", "202.", "２０２６", "2e03"])

    def lengths(self, field):
        rules = field["constraints"] = {}
        if self.once_in(2):
            rules["minLength"] = self.random.randint(0, 2)
        if self.once_in(2):
            rules["maxLength"] = self.random.randint(2, 3)

    def array(self, field):
        self.lengths(field)
        return lambda: self.json_of(self.pick(["[]"] * 4 + ["{}"]))

    def object(self, field):
        self.lengths(field)
        return lambda: self.json_of(self.pick(["{}"] * 4 + ["[]"]))

    def any(self, field):
        if self.once_in(2):
            field["constraints"] = {"enum": self.some(["red", "1", "", "[1]", 1, True, "true"])}
        return self.words

    # Cells

    def words(self):
        return self.pick(
            ["", "a", "b", "ab", "abc", "ABC", "AB123", "red", "Red", "green", "blue", "1", "12", "007", "ä", "äöü", "e\u0301", "e\u0301 x", "😀", "a c", "ac", "bcc",
             "cd", "abx", "xab", "ab\n", "x", "xy", "1.234", "1.2345", "true", "[1]", "NA", "-", "null", "abcdefghi", "a,b", "x\u00a0y", "１２"]
        )

    def email(self):
        local = self.pick(["john", "john.doe", "o'neil", "a+b", "JÖRG", "é", "a..b", ".a", "a.", "", "a b", '"a b"', '"a"', "a\\b", "a" * 64, "a" * 65, "é" * 40, "x_y-z", "{a}|~", "a,b", "Ж", "ǰ"])
        label = lambda: self.pick(["example", "mail", "x", "10", "a-b", "-a", "a-", "a_b", "xn--bcher-kva", "bücher", "пример", "EXAMPLE", "", "a" * 63, "a" * 64, "a b", "ß", "例"])
        domain = ".".join([label() for _ in range(self.random.randint(0, 2))] + [self.pick(["org", "com", "c", "co", "рф", "рф-", "c1", "1c", "123", "xn--p1ai", "o-g", "org.", "", "ORG", "香格里拉", "a" * 64, "1"])])
        return f"{local}{self.pick(['@'] * 12 + ['', '@@', ' @', '＠'])}{domain}"

    def uri(self):
        scheme = self.pick(["http://", "https://", "ftp://", "urn:", "mailto:", "//", "", "1a:", "a+b.c-d:", "http:", ":", "ä:", "HTTP://", "a_b:"])
        host = self.pick(["example.org", "user:pass@example.org:80", "[::1]", "localhost", "", "exa mple", "bücher.de", "a[b", "10.0.0.1", "isbn:1", "a@b", "[zz]", "x:99999", "x:port"])
        rest = self.pick(["", "/", "/a/b", "/a%20b", "/a%zz", "/%", "?q=1&r=2", "#x", "#x#y", "/{id}", "/a|b", "/<>", "/ä", '"', "\\", "/a b", "?q#f?g", "/^", "/a\n"])
        return scheme + host + rest

    def uuid(self):
        digits = "".join(self.pick("0123456789abcdefABCDEF") for _ in range(32))
        parts = [digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]]
        return self.pick(["{}", "{}", "{}", "{{{}}}", "urn:uuid:{}", " {}", "{} ", "{}0"]).format(self.pick(["-", "-", "-", "", " ", "--"]).join(parts))

    def a_number(self, whole, point, group):
        number = self.pick(["0", "1", "5", "7", "10", "007", "1234", "12", "-0", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "9" * 38, "9" * 39, "3", "2000", "2001"])
        if self.once_in(4):
            number = self.pick([f"1{group}234", f"12{group}345{group}678", f"1{group}{group}2", f"{group}5", f"5{group}"])
        if not whole or self.once_in(6):
            number += self.pick(["", "", f"{point}5", f"{point}50", f"{point}", f"{point}0", "e2", "E-3", f"{point}5e+1", f"{point}{point}5", f"{point}1234567890123456789012345678901234567890", "e", "e99", f"{point}5{point}5"])
        if self.once_in(12):
            number = self.pick([f"{point}5", "NaN", "nan", "INF", "-INF", "Infinity", "sNaN", "1_0", "1_000.5", "٣", "１２", "0x10", "", point, "-", "e5", "one", "1 000", "½", "1.5", "1,5"])
        sign = self.pick([""] * 8 + ["-", "-", "+", "--", "- ", "\u2212"])
        if self.once_in(4):
            number = self.pick(["${}", "€ {}", "{} EUR", "{}%", "{}-", "({})", "-${}", "EUR{}", "{}€/kg", "a{}b", "$-{}", "{}\u2212", "$" + point + "{}", "#{}.", "{}."]).format(number)
        return sign + number

    def written(self, format, year, month, date, hour, minute, second, fixed):
        months = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"]
        days = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
        pad = lambda number: f"{number:02}" if fixed else self.pick(["{:02}"] * 14 + ["{}"] * 5 + ["{:2}"]).format(number)
        name = lambda name: name if fixed else self.pick([name, name, name.lower(), name.upper(), name[:3]])
        zone = lambda: "Z" if fixed else self.pick(["Z", "z", "+01:00", "-0530", "+01", "+24:00", "+00:60", "+01:00:30", "", " Z", "+1:00"])
        fraction = lambda most: "".join(self.pick("0123456789") for _ in range(most if fixed else self.pick([1, 3, 6, 6, most])))
        month = month if 1 <= month <= 12 else 12
        write = {
            "Y": lambda: f"{year:04}", "y": lambda: f"{year % 100:02}", "m": lambda: pad(month), "d": lambda: pad(date),
            "j": lambda: f"{self.random.randint(1, 365)}" if fixed else self.pick(["1", "001", "059", "60", "365", "366", "367", "0", "000"]),
            "b": lambda: name(months[month - 1][:3]), "B": lambda: name(months[month - 1]), "a": lambda: name(self.pick(days)[:3]), "A": lambda: name(self.pick(days)),
            "H": lambda: pad(hour), "I": lambda: pad(hour % 12 or 12) if fixed else pad(self.pick([hour, hour % 12, 12, 1])), "M": lambda: pad(minute), "S": lambda: pad(second),
            "p": lambda: self.pick(["AM", "PM"]) if fixed else self.pick(["AM", "PM", "am", "Pm", "a.m.", ""]), "f": lambda: fraction(6), "z": zone, "%": lambda: "%",
        }
        text, rest = "", iter(format)
        for c in rest:
            if c == "%":
                text += write[next(rest)]()
            elif c == "~":
                # Behind an ISO time.
                if fixed:
                    text += self.pick(["Z", "Z", "", "+02:00"])
                else:
                    text += self.pick(["", "", "." + fraction(9), "," + fraction(3), "." + fraction(12)]) + self.pick(["", "", zone()])
            elif c == "T" and not fixed:
                text += self.pick(["T"] * 6 + ["t", " ", "é", "_", "5"])
            else:
                text += c
        return text

    def json_of(self, brackets):
        value = lambda: self.pick(["1", "-0.5", '"a"', "null", "true", "[]", "{}", '"\\u00e9"', "1e2", "01", "1.", "NaN", "Infinity", "1e99", '"\\ud800"', '"\\u0000"', "'a'", '"a\nb"', "[[1]]", '{"a":{}}', "12345678901234567890123456789012345678901"])
        name = lambda: self.pick(['"a"', '"b"', '"c"', '""', "a", '"a b"', '"é"', '"d"'])
        items = [value() if brackets == "[]" else f"{name()}: {value()}" for _ in range(self.pick([0, 1, 1, 2, 2, 3, 4]))]
        text = brackets[0] + self.pick([",", ", "]).join(items) + brackets[1]
        return self.pick(["{}"] * 12 + [" {} ", "\n{}\t", "\u00a0{}", "\x0c{}", "{},", "{} x", "\ufeff{}", "x"]).format(text) if "{" not in text else text + self.pick([""] * 8 + [" ", "x", "}", "\x0c", "\u00a0"])

    def bent(self, text):
        """A cell that is nearly what it was."""
        for _ in range(self.pick([0] * 7 + [1, 1, 2])):
            at = self.random.randint(0, len(text))
            c = self.pick(list("0123456789-+.,:/ TZeEaxé_") + SPACES)
            match self.random.randrange(4):
                case 0:
                    text = text[:at] + c + text[at:]
                case 1:
                    text = text[:at] + text[at + 1 :]
                case 2:
                    text = text[:at] + c + text[at + 1 :]
                case _:
                    text = self.pick([self.pick(SPACES) + text, text + self.pick(SPACES), text.upper(), text + text[-1:]])
        return text


def verdict(read, text):
    try:
        _, notes = read(text)
    except Exception:
        return None
    return not notes


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options.add_argument("--tables", type=int, default=10000)
    options.add_argument("--rows", type=int, default=10)
    options = options.parse_args()
    print(f"seed {options.seed}", file=sys.stderr)
    cells_in_all = 0
    for number in range(options.tables):
        table = Table(options.seed, number)
        schema, fields = table.schema()
        theirs = Schema.from_descriptor(json.loads(json.dumps(schema)))
        readers = {field["name"]: theirs.get_field(field["name"]).create_cell_reader() for field, _ in fields}
        missing = schema.get("missingValues", [""])
        cells = {}
        for _ in range(options.rows):
            for field, good in fields:
                text = table.pick(missing) if missing and table.once_in(12) else table.bent(good())
                cells[field["name"], text] = verdict(readers[field["name"]], text)
        cells = [[name, text, verdict] for (name, text), verdict in cells.items()]
        cells_in_all += len(cells)
        line = {"seed": options.seed, "table": number, "schema": schema, "cells": cells}
        print(json.dumps(line, ensure_ascii=False, separators=(",", ":")))
    print(f"{options.tables} tables, {cells_in_all} cells", file=sys.stderr)


if __name__ == "__main__":
    main()
