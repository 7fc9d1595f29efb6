"""Coverage-guided fuzzing of every decoder: ``python -m tests.fuzz [--seconds N] [NAME …]``.

Each target runs in a process of its own for a bounded time, guided by which code an input reaches.
An input that breaks a decoder is written to build/fuzz, and the exit code is 1.
"""

import argparse
import contextlib
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
FINDINGS = ROOT / "build" / "fuzz"
SECONDS = 20
NAMES = (
    *("capture_file", "certificate", "client_offer", "dns", "elf", "handshake", "http", "opening"),
    *(
        "packages",
        "packet",
        "password_policy",
        "perf_records",
        "proc_net",
        "procfs",
        "server_answer",
    ),
    *("sshd_config", "stream", "trace_format", "traffic"),
)
LONGEST_S = 2  # of one input
MAX_BYTES = 4_096


def main() -> int:
    """Fuzz what is named, and return 0 if nothing was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--seconds", type=int, default=SECONDS, help="for each target")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        sys.stderr.write(
            "atheris is not installed, so nothing is fuzzed by coverage: "
            "pip install 'proctor[fuzz]' (Linux and macOS)\n"
        )
        return 0
    if options.inside:
        _fuzz(options.names[0], options.seconds)
    FINDINGS.mkdir(parents=True, exist_ok=True)
    broken = [name for name in options.names or NAMES if not _survives(name, options.seconds)]
    for name in broken:
        sys.stderr.write(f"{name} is broken; its input is in {FINDINGS}\n")
    return 1 if broken else 0


def _survives(name: str, seconds: int) -> bool:
    sys.stderr.write(f"{name}: {seconds} s ... ")
    sys.stderr.flush()
    command = [sys.executable, "-m", "tests.fuzz", name, "--inside", "--seconds", str(seconds)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    runs = [line for line in done.stderr.splitlines() if line.startswith("Done ")]
    sys.stderr.write(f"{runs[0] if runs else 'FAILED'}\n")
    if done.returncode:
        sys.stderr.write(done.stdout[-4_000:] + done.stderr[-4_000:])
    return done.returncode == 0


def _fuzz(name: str, seconds: int) -> None:
    import atheris

    with atheris.instrument_imports(include=["agent.decode"]):
        from tests.fuzz.targets import EXPECTED, TARGETS

    target = TARGETS[name]

    def test(data: bytes) -> None:
        with contextlib.suppress(*EXPECTED):
            target.run(data)

    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(target.seeds):
            Path(folder, str(number)).write_bytes(seed)
        limits = [f"-max_total_time={seconds}", f"-timeout={LONGEST_S}", f"-max_len={MAX_BYTES}"]
        atheris.Setup([name, folder, *limits, f"-artifact_prefix={FINDINGS}/{name}-"], test)
        atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
