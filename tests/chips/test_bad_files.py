"""Chip files that are not as they should be: one sentence with the file, the key, what was got and what is allowed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("tomllib", reason="in the standard library since Python 3.11")

from neurosam.errors import BackendError, FormatError
from neurosam_hw import chips as shipped
from neurosam_hw.chips import load_chip
from neurosam_hw.chips.read import LARGEST_FILE

EXAMPLE = (Path(shipped.__path__[0]) / "example.toml").read_text()
SYNAPSE = (
    'synaptic_operation = { value = 10, unit = "pJ", standing = "measured", scope = "per-term", bound = "minimum", '
    'conditions = "0.8 V", source = "paper", locator = "Table 2" }'
)
KEY = "energy.synaptic_operation"


def refusal(tmp_path: Path, text: str | bytes) -> str:
    """What is said about a file, without its folder."""
    path = tmp_path / "bad.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(FormatError) as caught:
        load_chip(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message.removeprefix(f"{tmp_path}/")


def test_the_example_is_what_the_cases_below_change(tmp_path: Path) -> None:
    assert EXAMPLE.count(SYNAPSE) == 1
    (tmp_path / "good.toml").write_text(EXAMPLE)
    assert load_chip(str(tmp_path / "good.toml")).figure(KEY).value_si == 10e-12


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('unit = "pJ", ', "", f"{KEY}: unit: is missing; allowed is fJ, pJ, nJ, uJ, mJ, J"),
        ('unit = "pJ"', 'unit = "ns"', f"{KEY}: unit: got 'ns'; allowed is fJ, pJ, nJ, uJ, mJ, J"),
        ('unit = "pJ"', 'unit = "pj"', f"{KEY}: unit: got 'pj'; allowed is fJ, pJ, nJ, uJ, mJ, J"),
        ('unit = "pJ"', 'unit = ["pJ"]', f"{KEY}: unit: got ['pJ']; allowed is"),
        ("value = 10", "value = -10", f"{KEY}: value: got -10 pJ; at least 0 is required"),
        ("value = 10", "value = inf", f"{KEY}: value: got inf; a finite number up to 1e+18 is required"),
        ("value = 10", "value = nan", f"{KEY}: value: got nan; a finite number"),
        ("value = 10", f"value = 1{'0' * 30}", f"{KEY}: value: got 1000000000000000000000000000000; a finite number"),
        ("value = 10", 'value = "10"', f"{KEY}: value: got '10'; a number is required"),
        ("value = 10", "value = true", f"{KEY}: value: got True; a number is required"),
        ("value = 10", "value = [10]", f"{KEY}: value: got a list; one value is required"),
        ("value = 10, ", "", f'{KEY}: value: is missing; give it, or standing = "unknown"'),
        ('standing = "measured", ', "", f"{KEY}: standing: is missing; allowed is measured, pre-silicon, fitted,"),
        ('"measured"', '"guessed"', f"{KEY}: standing: got 'guessed'; allowed is measured, pre-silicon, fitted,"),
        ('"measured"', '"unknown"', f"{KEY}: value: got 10; what is unknown has no value"),
        ('scope = "per-term", ', "", f"{KEY}: scope: is missing; allowed is per-term"),
        ('"per-term"', '"per term"', f"{KEY}: scope: got 'per term'; allowed is per-term"),
        ('"per-term"', '"all-in"', f"{KEY}: scope: got 'all-in'; allowed is per-term"),
        ('"minimum"', '"min"', f"{KEY}: bound: got 'min'; allowed is none, minimum, maximum"),
        ('"0.8 V"', "0.8", f"{KEY}: conditions: got 0.8; a text is required"),
        ('"0.8 V"', r'"\u001b[31m"', f"{KEY}: conditions: got '\\x1b[31m'; one line of printable text is required"),
        ('source = "paper", ', "", f"{KEY}: source: is missing; a figure says where it comes from"),
        ('"paper"', '"papers"', f"{KEY}: source: got 'papers'; allowed is a key of [sources]: paper"),
        (', locator = "Table 2"', "", f"{KEY}: locator: is missing; a figure says where it comes from"),
        ("unit =", "units =", f"{KEY}: has the unknown key 'units'; did you mean 'unit'; allowed are value, unit,"),
        (
            "synaptic_operation =",
            "synaptic_op =",
            "energy: has the unknown key 'synaptic_op'; did you mean 'synaptic_o",
        ),
        (SYNAPSE, "synaptic_operation = 10", f"{KEY}: got 10; a table {{ value, unit, standing, ... }} is required"),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in SYNAPSE
    assert refusal(tmp_path, EXAMPLE.replace(SYNAPSE, SYNAPSE.replace(old, new))).startswith(f"bad.toml: {message}")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("format = 1", "format = 2", "format: got 2; this version of neurosam reads 1"),
        ("format = 1", "format = true", "format: got True; this"),
        ("format = 1", "", "format: got None; this"),
        ("[limits]", "[limit]", "has the unknown key 'limit'; did you mean 'limits'; allowed are format, title,"),
        ("[boards.desk]", '[boards."My desk"]', "boards: has the key 'My desk'; allowed are lower-case letters"),
        ('title = "A board that does not exist"', "", "boards.desk.title: is missing; a text is required"),
        ("idle_core_rail", "idle_vdd", "boards.desk: has the unknown key 'idle_vdd'"),
        ("value = 4, unit", "value = 4.0, unit", "limits.cores: value: got 4.0; a whole number is required, without a"),
        ("value = [4, 8]", "value = []", "numbers.weight_bits: value: got a list of 0; allowed are 1..4096 items"),
        ("value = [4, 8]", "value = [4, -8]", "numbers.weight_bits: value: got -8 bit; at least 0 is required"),
        ("value = false", "value = 0", "numbers.current: value: got 0; allowed is true or false"),
        ('"count", standing = "vendor", source', '"count", standing = "vendor", scope = "all-in", source',
         "limits.cores: scope: got 'all-in'; only energy, time, power have a scope"),
        ("value = [1, 4]", "value = [1, 2, 4]", "sync.barrier: has 2 values; sync.barrier_tiles needs as many"),
        ("paper = ", r'"\u001b[31m" = ', "sources: has the key '\\x1b[31m'; allowed are lower-case letters"),
        ('paper = "', 'paper = ["', "is not TOML"),
    ],
)  # fmt: skip
def test_a_wrong_table_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in EXAMPLE
    said = refusal(tmp_path, EXAMPLE.replace(old, new, 1))
    assert said.startswith(f"bad.toml: {message}") or message in said


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe", "is not UTF-8 text; a chip file is TOML"),
        (b"format = ", "is not TOML: Invalid value"),
        (b"format = " + b"[" * 1900, "is not TOML: tables too deep"),
        (b"format = 1" + b"0" * 1900, "format: got 1000000000"),
        (b"format = 1\n" + b"a." * 30_000 + b"a = 1", "line 2 has 60005 characters; allowed are 2000"),
        (b"[" + b"a." * 990 + b"a]", "has the unknown key 'a'"),
        (b"\x89HDF\r\n\x1a\n", "is not "),
        (b"#" * (LARGEST_FILE + 1), "is larger than 64 KiB; no chip file is"),
        (b"sources = 3", "format: got None"),
        (b"format = 1\nlimits = 3", "limits: got 3; a table [limits] is required"),
        (b"format = 1\nboards.x = 3", "boards.x: got 3; a table is required"),
        (b"format = 1", "title: is missing; a text is required"),
        (b"", "format: got None"),
    ],
)
def test_what_is_no_chip_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    assert message in refusal(tmp_path, content)


def test_a_path_that_holds_no_file(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"none.toml: does not exist$"):
        load_chip(str(tmp_path / "none.toml"))
    with pytest.raises(FormatError, match=r"is a folder$"):
        load_chip(tmp_path)


def test_a_python_without_a_toml_reader_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tomllib", None)  # as in Python 3.10
    with pytest.raises(BackendError, match=r"^chips: need Python 3\.11 or newer"):
        load_chip(tmp_path / "any.toml")
