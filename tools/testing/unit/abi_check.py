#!/usr/bin/python3 -I
# SPDX-License-Identifier: GPL-2.0
"""Holds the tables of the format's documentation against its header.

usage: abi_check.py HEADER DOCUMENT [HEADER2]   exit status 0, or 1 and what differs
       abi_check.py HEADER                      prints what the header has

The document has a table of "offset size field" under a title "struct NAME" for
each structure, in the header's order and with nothing between the fields; and
tables of "value name" with each constant of the header, and perhaps some of
HEADER2. A compiler says where fields are and what constants are worth ($CC, cc).
"""

import os
import re
import subprocess
import sys
import tempfile

SKIP = re.compile(r"_UAPI|CXLFORK_ASSERT_SIZE")


def read_header(path):
    """Structures with their fields, constants, and macros with arguments."""
    with open(path, encoding="ascii") as f:
        text = f.read()
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S).replace("\\\n", " ")
    structs = {}
    for name, body in re.findall(r"^struct (\w+) \{(.*?)^\};", text, re.S | re.M):
        fields = []
        for line in body.split(";"):
            words = re.sub(r"\[[^]]*\]", "", line).replace(",", " ").split()
            fields += words[2:] if words[:1] == ["struct"] else words[1:]
        structs[name] = fields
    constants, macros = [], []
    for name, args in re.findall(r"^#define (\w+)(\(?)", text, re.M):
        if not SKIP.match(name):
            (macros if args else constants).append(name)
    for body in re.findall(r"^enum \w+ \{(.*?)^\};", text, re.S | re.M):
        constants += re.findall(r"(\w+)\s*=", body)
    return structs, constants, macros


def measure(header, structs, constants):
    """What a compiler makes of it: {(struct, field): (offset, size)}, values."""
    lines = ["#include <stddef.h>", "#include <stdio.h>",
             f'#include "{os.path.abspath(header)}"', "int main(void)", "{"]
    for struct, fields in structs.items():
        lines.append(f'printf("{struct} . 0 %zu\\n", sizeof(struct {struct}));')
        for field in fields:
            lines.append(f'printf("{struct} {field} %zu %zu\\n", offsetof(struct {struct}, {field}),'
                         f" sizeof(((struct {struct} *)0)->{field}));")
    for name in constants:
        lines.append(f'printf("- {name} %llu 0\\n", (unsigned long long){name});')
    lines.append("return 0; }")
    include = os.path.dirname(os.path.dirname(os.path.abspath(header)))
    with tempfile.TemporaryDirectory() as tmp:
        program = os.path.join(tmp, "measure")
        with open(program + ".c", "w", encoding="ascii") as f:
            f.write("\n".join(lines) + "\n")
        subprocess.run([os.environ.get("CC", "cc"), "-I", include, "-o", program, program + ".c"],
                       check=True)
        out = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    places, values = {}, {}
    for line in out.splitlines():
        struct, name, offset, size = line.split()
        if struct == "-":
            values[name] = int(offset)
        else:
            places[struct, name] = (int(offset), int(size))
    return places, values


def read_document(path):
    """{struct: [(field, offset, size)]} in order, {constant: value}, the text."""
    with open(path, encoding="utf-8") as f:
        text = f.read()
    structs, values, current = {}, {}, None
    for line in text.splitlines():
        title = re.match(r"struct (\w+)(?:, (\d+) bytes)?$", line)
        if title:
            current = title.group(1)
            structs[current] = []
            if title.group(2):
                structs[current].append((".", 0, int(title.group(2))))
            continue
        row = re.match(r"(\d+) +(\d+) +(\w+)(?: |$)", line)
        if row and current:
            structs[current].append((row.group(3), int(row.group(1)), int(row.group(2))))
            continue
        row = re.match(r"(0x[0-9a-f]+|\d+) +(CXLFORK_\w+)(?: |$)", line)
        if row:
            values[row.group(2)] = int(row.group(1), 0)
    return structs, values, text


def gaps(struct, fields, places):
    """Places between the fields that no field covers."""
    at = 0
    for field in fields:
        offset, size = places[struct, field]
        if offset != at:
            yield f"struct {struct}: nothing between {at} and {field} at {offset}"
        at = offset + size
    if at != places[struct, "."][1]:
        yield f"struct {struct}: nothing from {at} to its end"


def compare(header, document, header2=None):
    """What differs, a line each."""
    structs, constants, macros = read_header(header)
    places, values = measure(header, structs, constants)
    told, told_values, text = read_document(document)
    for struct, fields in structs.items():
        yield from gaps(struct, fields, places)
        if struct not in told:
            yield f"struct {struct} is not in the document"
            continue
        wanted = [(".", *places[struct, "."])] + [(f, *places[struct, f]) for f in fields]
        for item in wanted:
            if item not in told[struct]:
                yield "struct {}: {} at {}, {} bytes: not in the document".format(struct, *item)
        for item in told[struct]:
            if item not in wanted:
                yield "struct {}: {} at {}, {} bytes: not in the header".format(struct, *item)
        if sorted(told[struct]) == sorted(wanted) and told[struct] != wanted:
            yield f"struct {struct}: fields are in another order"
    for struct in told:
        if struct not in structs:
            yield f"struct {struct} is not in the header"
    for name, value in values.items():
        if told_values.get(name) != value:
            yield f"{name} is {value}, in the document {told_values.get(name)}"
    others = {}
    if header2:
        mentioned = [name for name in read_header(header2)[1] if name in told_values]
        others = measure(header2, {}, mentioned)[1]
    for name in others:
        if told_values[name] != others[name]:
            yield f"{name} is {others[name]}, in the document {told_values[name]}"
    for name in told_values:
        if name not in values and name not in others:
            yield f"{name} is not in the header"
    for name in macros:
        if f"{name}(" not in text:
            yield f"{name}() is not in the document"


def main():
    if len(sys.argv) == 2:
        structs, constants, _ = read_header(sys.argv[1])
        places, values = measure(sys.argv[1], structs, constants)
        for (struct, field), (offset, size) in places.items():
            print(struct, field, offset, size)
        for name, value in values.items():
            print(name, value)
        return
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    found = list(compare(*sys.argv[1:]))
    for line in found:
        print(line)
    sys.exit(1 if found else 0)


main()
