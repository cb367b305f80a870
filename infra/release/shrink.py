"""Takes the tables by which a stack is unwound out of functions' executables, and packs them again as small as deflate makes them.

A panic aborts and the programs have no symbols, so these tables serve nobody; the standard library brings them all the same. Their bytes
become zeros and their program header nothing, so that no address moves (elf(5)).

    python3 infra/release/shrink.py target/lambda/penstock-api/bootstrap.zip ...
"""

import struct
import sys
import zipfile

TABLES = {b".eh_frame", b".eh_frame_hdr"}
PT_NULL, PT_GNU_EH_FRAME = 0, 0x6474E550


def shrunk(program):
    """The program, 64 bits and little-endian, without its tables."""
    assert program[:6] == b"\x7fELF\x02\x01", "no 64-bit little-endian ELF file"
    program = bytearray(program)
    headers, sections = struct.unpack_from("<QQ", program, 32)
    header_size, header_count, section_size, section_count, names_at = struct.unpack_from("<HHHHH", program, 54)
    rows = [struct.unpack_from("<IIQQQQ", program, sections + row * section_size) for row in range(section_count)]
    names = rows[names_at][4]
    for name, _, _, _, offset, size in rows:
        if bytes(program[names + name : program.index(b"\0", names + name)]) in TABLES:
            program[offset : offset + size] = bytes(size)
    for row in range(header_count):
        at = headers + row * header_size
        if struct.unpack_from("<I", program, at)[0] == PT_GNU_EH_FRAME:
            struct.pack_into("<I", program, at, PT_NULL)
    return bytes(program)


for archive in sys.argv[1:]:
    with zipfile.ZipFile(archive) as file:
        entry = file.getinfo("bootstrap")
        program = shrunk(file.read(entry))
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        file.writestr(entry, program, zipfile.ZIP_DEFLATED, 9)
