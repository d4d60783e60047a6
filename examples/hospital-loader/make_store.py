#!/usr/bin/env python3
"""Makes a demonstration archive: index.sqlite and pixels.bin, 240 drawn radiographs of 120 patients.

    python3 make_store.py FOLDER

A bone (a bright band) with a fracture (a dark gap), an implant (a very bright disc), both or neither.
Only the standard library is used, and the same archive comes out each time.
"""

import array
import pathlib
import random
import sqlite3
import sys

SCHEMA = """
CREATE TABLE patient (id INTEGER PRIMARY KEY, name TEXT NOT NULL, born TEXT NOT NULL);
CREATE TABLE finding (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE image (id INTEGER PRIMARY KEY, patient INTEGER NOT NULL REFERENCES patient, scanner TEXT NOT NULL,
                    "rows" INTEGER NOT NULL, "columns" INTEGER NOT NULL, bits INTEGER NOT NULL,
                    start INTEGER NOT NULL);  -- of its values in pixels.bin: 16 bit, little-endian, rows first
CREATE TABLE reading (image INTEGER NOT NULL REFERENCES image, finding INTEGER NOT NULL REFERENCES finding,
                      present INTEGER NOT NULL, PRIMARY KEY (image, finding));  -- no row: nobody looked
INSERT INTO finding VALUES (1, 'Fracture'), (2, 'Implant');
"""
BITS = 12


def draw(dice, rows, columns, fracture, implant):
    """Values of one image, rows first."""
    middle, gap = columns * dice.uniform(0.4, 0.6), rows * dice.uniform(0.3, 0.7)
    row0, column0 = rows * dice.uniform(0.2, 0.8), columns * dice.uniform(0.1, 0.25)
    values = array.array("H")
    for row in range(rows):
        for column in range(columns):
            value = 700 + dice.randrange(200)
            if abs(column - middle) < columns * 0.12 and not (fracture and abs(row - gap) < rows * 0.08):
                value += 1400
            if implant and (row - row0) ** 2 + (column - column0) ** 2 < (rows * 0.1) ** 2:
                value = 3800 + dice.randrange(200)
            values.append(value)
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()


def main(folder):
    folder.mkdir(parents=True)
    dice = random.Random(1)
    index = sqlite3.connect(folder / "index.sqlite")
    index.executescript(SCHEMA)
    with open(folder / "pixels.bin", "wb") as store:
        for number in range(240):
            patient, fracture, implant = number // 2 + 1, dice.random() < 0.4, dice.random() < 0.3
            if number % 2 == 0:
                index.execute("INSERT INTO patient VALUES (?, ?, '1950-01-01')", (patient, f"Doe, Jane {patient}"))
            rows, columns = dice.randrange(40, 56), dice.randrange(40, 56)
            image = (number + 1, patient, "AB"[number % 2], rows, columns, BITS, store.tell())
            index.execute("INSERT INTO image VALUES (?, ?, ?, ?, ?, ?, ?)", image)
            index.execute("INSERT INTO reading VALUES (?, 1, ?)", (number + 1, fracture))
            if number % 7 != 0:
                index.execute("INSERT INTO reading VALUES (?, 2, ?)", (number + 1, implant))
            store.write(draw(dice, rows, columns, fracture, implant))
    index.commit()
    index.close()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]))
