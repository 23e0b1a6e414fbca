"""Make the two tables of notebook 17, ``tlkit/tables/patients.csv`` and ``loans.csv``, from packages of R.

    apt-get download r-cran-survival r-cran-modeldata
    python tools/make_cohorts.py r-cran-survival_3.8-3-1_amd64.deb r-cran-modeldata_1.4.0-1_all.deb

The first holds ``rotterdam`` and ``gbsg``, the second ``lending_club``. Rows keep the packages' order, and values are
theirs; what is left out, recoded or joined, the comment lines of each table say. Needs ``dpkg-deb`` and the package
``rdata`` (``pip install rdata==1.1.0``), which reads R's files; nothing else in tlkit needs either. The licences of
both tables stand in ``tlkit/tables/LICENSES.txt``, which this tool writes, too.
"""

from __future__ import annotations

import bz2
import hashlib
import lzma
import subprocess
import tempfile
import warnings
import zlib
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer

ROOT = Path(__file__).resolve().parents[1]
# The SHA-256 of the .deb files: survival 3.8-3-1 for amd64 and modeldata 1.4.0-1.
PACKAGES = {
    "survival": "178e975dbea67ac35440b5c80d1c32e91b17d01053f89fee086bd006cd66ac9d",
    "modeldata": "cb9260bfc0363a85f60da89acbe4d3f97e6b389417053d67a077eeaa49cf17d7",
}
LZMA = [{"id": lzma.FILTER_LZMA2, "preset": 6 | lzma.PRESET_EXTREME}]  # what R packs with
SIZES = (20, 50)  # mm: Rotterdam's tumours come in three sizes, and GBSG's millimetres are cut alike

ABOUT = {
    "patients": {
        "table": "breast cancer, 2,982 patients of the Rotterdam tumour bank and 686 of a trial of the German "
        "Breast Cancer Study Group",
        "recipe": "gbsg (1 the trial, 0 Rotterdam); age (years); postmenopausal; size (0 up to 20 mm, 1 up to 50, 2"
        " above); grade; nodes (positive lymph nodes); progesterone and oestrogen (receptors, fmol/l); "
        "hormones and chemo (treated so; no value: not recorded); days from surgery to event or end of "
        "follow-up; event (1 recurrence, or death without one; 0 neither so far)",
        "changes": "Rotterdam's days and event are joined as the package's documentation shows (relapse where there "
        "was one, else death or end of follow-up); the trial's size in mm is put into Rotterdam's three "
        "steps; identifiers and the year of surgery are left out",
        "origin": "data sets rotterdam and gbsg of the R package survival 3.8-3 (Terry M. Therneau), after Royston "
        "& Altman, 2013, doi:10.1186/1471-2288-13-33",
        "licence": "LGPL, version 2 or later (LICENSES.txt), unlike tlkit",
    },
    "loans": {
        "table": "9,857 loans that Lending Club gave in the first quarter of 2016, and whether each has gone bad",
        "recipe": "months (term); amount (dollars); grade (the lender's own, A1 to G5); income (dollars per year); "
        "verified (income or its source); delinquencies (in two years); inquiries_6m and inquiries_12m "
        "(of lenders); opened_24m (instalment accounts); utilisation (percent of all credit lines); bad "
        "(charged off, defaulted or 21 to 120 days late when the data was taken)",
        "changes": "11 of 23 columns are kept, under other names; verified joins two ways of verifying",
        "origin": "data set lending_club of the R package modeldata 1.4.0 (Max Kuhn), from Lending Club's public "
        "statistics",
        "licence": "MIT (LICENSES.txt)",
    },
}
COMMAND = {"command": "python tools/make_cohorts.py", "date": "2026-11-28"}

LICENCES = """\
Two tables in this folder were not made by tlkit, and tlkit's own licence, Apache-2.0, is not theirs.

patients.csv: made from the data sets rotterdam and gbsg of the R package survival 3.8-3
(https://github.com/therneau/survival) by Terry M. Therneau; copyright 2000 Mayo Foundation for Medical Education and
Research. It is under the GNU Library or Lesser General Public License, version 2 or (at your option) any later version;
the text of version 2.1 follows below. tlkit changed the data in 2026: the table's comment lines say how, and
tools/make_cohorts.py in tlkit's repository does it.

loans.csv: made from the data set lending_club of the R package modeldata 1.4.0
(https://github.com/tidymodels/modeldata) by Max Kuhn; copyright 2019 Max Kuhn, RStudio; Posit Software, PBC. It is
under the MIT licence:

{mit}

----------------------------------------------------------------------

{lgpl}"""
MIT = """\
Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE."""


def unpack(stored: bytes) -> bytes:
    """An object of R's database: four bytes of length, a letter for how it is packed (none for zlib), and the rest."""
    kind, size = stored[4:5], int.from_bytes(stored[:4], "big")
    if kind == b"Z":
        whole = lzma.decompress(stored[5:], format=lzma.FORMAT_RAW, filters=LZMA)
    else:
        whole = bz2.decompress(stored[5:]) if kind == b"2" else zlib.decompress(stored[4:])
    if len(whole) != size:
        raise ValueError(f"an object must have {size} bytes, got {len(whole)}.")
    return whole


def read(package: Path, name: str, *wanted: str) -> list[pd.DataFrame]:
    """Data sets of an R package, from its .deb file.

    Raises:
        ValueError: It is another file than the one that the tables were made from.
    """
    import rdata

    found = hashlib.sha256(package.read_bytes()).hexdigest()
    if found != PACKAGES[name]:
        raise ValueError(f"{package.name} must have SHA-256 {PACKAGES[name][:12]}…, got {found[:12]}….")
    with tempfile.TemporaryDirectory() as unpacked, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # rdata warns of each class that it takes for a plain data frame
        subprocess.run(["dpkg-deb", "--extract", str(package), unpacked], check=True)
        (index,) = Path(unpacked).rglob("data/Rdata.rdx")
        places = rdata.conversion.convert(rdata.parser.parse_data(zlib.decompress(index.read_bytes(), 47)))
        stored = index.with_suffix(".rdb").read_bytes()
        sets = []
        for each in wanted:
            start, length = map(int, places["variables"][each])
            whole = unpack(stored[start : start + length])
            sets.append(rdata.conversion.convert(rdata.parser.parse_data(whole)))
    return sets


def patients(rotterdam: pd.DataFrame, gbsg: pd.DataFrame) -> pd.DataFrame:
    """Both cohorts under one another, with one outcome: the time without recurrence."""
    relapsed = rotterdam["recur"] == 1
    theirs = rotterdam.assign(
        gbsg=0,
        size=rotterdam["size"].astype(str).map({"<=20": 0, "20-50": 1, ">50": 2}),
        days=np.where(relapsed, rotterdam["rtime"], rotterdam["dtime"]).astype(int),
        event=rotterdam[["recur", "death"]].max(axis=1),
    )
    ours = gbsg.assign(gbsg=1, size=np.digitize(gbsg["size"], SIZES, right=True), chemo=pd.NA)
    both = pd.concat([theirs, ours.rename(columns={"rfstime": "days", "status": "event"})])
    names = {"meno": "postmenopausal", "pgr": "progesterone", "er": "oestrogen", "hormon": "hormones"}
    kept = ["gbsg", "age", "postmenopausal", "size", "grade", "nodes", "progesterone", "oestrogen", "hormones", "chemo"]
    return both.rename(columns=names)[[*kept, "days", "event"]]


def loans(club: pd.DataFrame) -> pd.DataFrame:
    """One row per loan."""
    return pd.DataFrame(
        {
            "months": club["term"].astype(str).str[-2:].astype(int),
            "amount": club["funded_amnt"],
            "grade": club["sub_grade"].astype(str),
            "income": club["annual_inc"].map("{:.12g}".format),  # whole dollars without a point
            "verified": (club["verification_status"] != "Not_Verified").astype(int),
            "delinquencies": club["delinq_2yrs"],
            "inquiries_6m": club["inq_last_6mths"],
            "inquiries_12m": club["inq_last_12m"],
            "opened_24m": club["open_il_24m"],
            "utilisation": club["all_util"],
            "bad": (club["Class"] == "bad").astype(int),
        }
    )


def main(
    survival: Annotated[Path, typer.Argument(help="Debian's r-cran-survival, a .deb file.")],
    modeldata: Annotated[Path, typer.Argument(help="Debian's r-cran-modeldata, a .deb file.")],
    out: Annotated[Path, typer.Option(help="Folder to write into.")] = ROOT / "tlkit" / "tables",
    lgpl: Annotated[Path, typer.Option(help="The text of the licence.")] = Path("/usr/share/common-licenses/LGPL-2.1"),
) -> None:
    """Write both tables and their licences anew."""
    tables = {
        "patients": patients(*read(survival, "survival", "rotterdam", "gbsg")),
        "loans": loans(*read(modeldata, "modeldata", "lending_club")),
    }
    for name, rows in tables.items():
        about = "".join(f"# {key}: {words}\n" for key, words in (ABOUT[name] | COMMAND).items())
        text = about + rows.to_csv(index=False, lineterminator="\n")
        (out / f"{name}.csv").write_text(text, encoding="utf-8", newline="\n")
        typer.echo(f"{name}.csv: {len(rows)} rows, {len(text.encode()) / 1000:.0f} kB")
    text = LICENCES.format(mit=MIT, lgpl=lgpl.read_text(encoding="utf-8"))
    (out / "LICENSES.txt").write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    typer.run(main)
