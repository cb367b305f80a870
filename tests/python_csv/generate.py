#!/usr/bin/env python3
"""Delimited files from a seed, as odd as people send them, and the records that Python's csv module reads in them.

    python3 tests/python_csv/generate.py --seed 1 --files 20000 > target/python_csv.jsonl
    PENSTOCK_PYTHON_CSV=target/python_csv.jsonl cargo test --workspace --test suite python_csv:: -- --nocapture

It needs Python 3.11 or later and nothing else. Each line is `{"seed", "file", "text", "delimiter", "quoting", "escape", "header_line",
"records": [[cell, …], …]}`: a file, the options with which it is read, and its records with the header, empty lines left out. The committed
sample is made with `--seed 1 --files 300`; file n of a seed is the same however many are asked for.

What differs on purpose, so that the test expects it, or that is not written:

- Penstock passes records whose cells show nothing, and the line `sep=;`; it unwraps `="…"`. The test does the same with these records.
- A quote that is never closed is for Python a cell that ends with the file. Penstock rejects the record.
- Penstock takes byte order marks at the start away, Python leaves them: none is written there.
- An escape acts in quoted cells alone, and stays before what needs none. So it is written before quotes and escapes of quoted cells alone.
"""

import argparse
import csv
import io
import json
import random
import sys

WORDS = [
    "a", "Lamp", "42", "Größe", "日本", "\U0001f4f7", "12\" wide", "=1", "=\"001\"", "=\"\"", "=\"a\"\"b\"", "x=\"1\"", "-", "---", "'", " ", "\u00a0", "\u200b", "\ufeff",
    "sep=;", "sep=", "#", "null", "1,5", "a;b", "a|b", "a\tb", "",  "", "", "", "  padded  ", "\"", "\"\"", "a\"b", "\"a\" b", "x" * 70,
]
ENDS = ["\n", "\n", "\r\n", "\r\n", "\r"]


class File:
    def __init__(self, seed, number):
        self.random = random.Random(f"{seed}/{number}")
        self.delimiter = self.pick([",", ",", ";", ";", "\t", "|", "^", ":"])
        self.quoting = not self.once_in(6)
        self.escape = "\\" if self.quoting and self.once_in(4) else None
        self.header_line = self.random.randrange(1, 5) if self.once_in(5) else None
        # How often a cell is quoted that need not be, and how often something is wrong.
        self.quoted, self.oddity = self.pick([1, 2, 5, 40]), self.pick([0, 0, 8, 30])
        self.mixed_ends, self.end = self.once_in(4), self.pick(ENDS)

    def once_in(self, times):
        return times > 0 and self.random.randrange(times) == 0

    def pick(self, values):
        return self.random.choice(values)

    def line_end(self):
        return self.pick(ENDS) if self.mixed_ends else self.end

    def word(self):
        word = "".join(self.pick(WORDS) for _ in range(self.pick([1, 1, 1, 2, 3])))
        if self.once_in(12):
            word += self.pick(["\n", "\r\n", "\r", "\n\n"]) + self.pick(WORDS)
        return word

    def quote(self, word):
        for mark in [self.escape, '"']:
            if mark == '"' and (self.escape is None or self.once_in(3)):
                word = word.replace('"', '""')
            elif mark:
                word = word.replace(mark, self.escape + mark)
        return f'"{word}"'

    def cell(self):
        word = self.word()
        special = [self.delimiter, "\n", "\r"]
        if not self.quoting:
            return "".join(c for c in word if c not in special)
        # What a program writes that forgets to quote.
        if not self.escape and self.once_in(self.oddity):
            return self.odd(word)
        is_plain = not word.startswith('"') and not any(mark in word for mark in special) and not (self.escape and self.escape in word)
        return word if is_plain and not self.once_in(self.quoted) else self.quote(word)

    def odd(self, word):
        return self.pick([word, f'"{word}"', self.quote(word) + self.pick(["tail", '"x"', " ", '"']), word + '"', " " + self.quote(word)])

    def record(self, width):
        if self.once_in(self.oddity):
            width = max(1, width + self.pick([-2, -1, 1, 2]))
        if self.once_in(15):
            return self.delimiter * self.random.randrange(width + 1)
        return self.delimiter.join(self.cell() for _ in range(width)) + self.pick(["", "", "", "", self.delimiter])

    def text(self):
        width = self.random.randrange(1, 7)
        lines = [self.pick(["Price list", "by \"ERP", "", "a;b,c", "\"x"]) for _ in range((self.header_line or 1) - 1)]
        if self.once_in(15):
            lines.append(f"sep={self.delimiter}")
        names = [f"column {at}" for at in range(width)]
        lines.append(self.delimiter.join(names))
        lines += [self.record(width) for _ in range(self.random.randrange(12))]
        text = "".join(line + self.line_end() for line in lines)
        return text if self.once_in(2) else text.rstrip("\r\n")

    def read(self, text):
        lines = io.StringIO(text, newline="")
        for _ in range((self.header_line or 1) - 1):
            next(lines, None)
        quoting = csv.QUOTE_MINIMAL if self.quoting else csv.QUOTE_NONE
        reader = csv.reader(lines, delimiter=self.delimiter, quoting=quoting, escapechar=self.escape)
        return [record for record in reader if record]


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options.add_argument("--files", type=int, default=20000)
    options = options.parse_args()
    print(f"seed {options.seed}", file=sys.stderr)
    cells = 0
    for number in range(options.files):
        file = File(options.seed, number)
        text = file.text()
        records = file.read(text)
        cells += sum(len(record) for record in records)
        line = {
            "seed": options.seed, "file": number, "text": text, "delimiter": file.delimiter, "quoting": file.quoting,
            "escape": file.escape, "header_line": file.header_line, "records": records,
        }
        print(json.dumps(line, ensure_ascii=False, separators=(",", ":")))
    print(f"{options.files} files, {cells} cells", file=sys.stderr)


if __name__ == "__main__":
    main()
