"""Requirements that install the lowest version of each dependency that pyproject.toml allows, and the tests' own tools.

What a user would install stands at its lower bound. Tools stand where the dev extra has them, those of OpenTelemetry
beside its API; what only checks, draws or serves is left out, since it asks for newer versions than stageflow does.
"""

import re
import tomllib
from pathlib import Path

TOOLS = {"grpcio", "hypothesis", "pytest", "pytest-asyncio", "structlog"}
BESIDE = dict.fromkeys(("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-grpc"), "opentelemetry-api")
REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(?P<extras>\[[\w,]+\])?(?P<sign>>=|==)(?P<version>[\w.]+)")


def main() -> None:
    """Prints them, one a line."""
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras: dict[str, list[str]] = project["optional-dependencies"]
    asked = [*project["dependencies"], *(line for extra, lines in extras.items() if extra != "dev" for line in lines)]
    lowest: dict[str, str] = {}
    for line in asked:
        if line.startswith("stageflow["):
            continue
        found = REQUIREMENT.fullmatch(line)
        if found is None or found["sign"] != ">=":
            raise SystemExit(f"{line!r} in pyproject.toml has no lower bound: write {line.split('<')[0]}>=version.")
        name, version = found["name"] + (found["extras"] or ""), found["version"]
        if lowest.setdefault(name, version) != version:
            raise SystemExit(f"{name} has two lower bounds in pyproject.toml, {lowest[name]} and {version}.")
    pins = {name: f"=={version}" for name, version in lowest.items()}
    pins |= {name: pins[beside] for name, beside in BESIDE.items()}
    for line in extras["dev"]:
        name, _, version = line.partition("==")
        if name in TOOLS:
            pins[name] = f"=={version}"
    print("\n".join(name + pin for name, pin in sorted(pins.items())))


if __name__ == "__main__":
    main()
