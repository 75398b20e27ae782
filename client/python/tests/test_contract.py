"""What is written here besides the contract agrees with it."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2  # type: ignore[import]

from iommud.core import limits
from iommud.core.credits import ACCESS, CONTROL, DMA, MEMORY
from iommud.gen import bodies as b
from iommud.gen import messages as m

PROTO = Path(__file__).resolve().parents[3] / "proto"


@pytest.mark.skipif(shutil.which("protoc") is None, reason="there is no protoc here: protobuf-compiler")
def test_the_descriptors_are_those_that_protoc_makes(tmp_path: Path) -> None:
    files = sorted(path.relative_to(PROTO) for path in (PROTO / "iommud/v1").glob("*.proto"))
    subprocess.run(["protoc", f"-I{PROTO}", f"--descriptor_set_out={tmp_path / 'set'}", *map(str, files)], check=True, cwd=PROTO)
    made = descriptor_pb2.FileDescriptorSet.FromString((tmp_path / "set").read_bytes())
    ours = descriptor_pb2.FileDescriptorProto()
    m.Frame.DESCRIPTOR.file.CopyToProto(ours)  # type: ignore[attr-defined]
    theirs = [file for file in made.file]
    messages = by_name(one for file in theirs for one in file.message_type)
    assert set(messages) - set(by_name(ours.message_type)) >= {"Snapshot", "Graph"}
    assert by_name(ours.message_type) == {one.name: messages[one.name] for one in ours.message_type}
    assert by_name(ours.enum_type) == by_name(one for file in theirs for one in file.enum_type)


def by_name(items: object) -> dict[str, str]:
    out = {}
    for item in items:  # type: ignore[attr-defined]
        for part in ("reserved_range", "reserved_name"):
            item.ClearField(part)
        for field in getattr(item, "field", ()):
            field.ClearField("json_name")
        out[item.name] = str(item)
    return out


def test_every_body_has_its_message() -> None:
    for field in m.Frame.DESCRIPTOR.oneofs_by_name["body"].fields:  # type: ignore[attr-defined]
        assert b.MESSAGES[field.number].__name__ == field.message_type.name
        assert getattr(b, field.name.upper()) == field.number


def test_calls_have_the_credit_class_that_their_comment_says() -> None:
    text = "\n".join(path.read_text() for path in (PROTO / "iommud/v1").glob("*.proto"))
    classes = {"control": CONTROL, "access": ACCESS, "dma": DMA, "memory": MEMORY}
    comments = re.findall(r"((?:^//.*\n)+)message (\w+) ", text, re.MULTILINE)
    said = {name: found[1] for comment, name in comments if (found := re.search(r"Class: (\w+)", comment.replace("\n//", "")))}
    calls = {b.MESSAGES[number].__name__: number for number in b.CALLS.values()}
    assert len(said) > 0.9 * len(calls)
    assert {name: b.CLASSES.get(calls[name], CONTROL) for name in said} == {name: classes[at] for name, at in said.items()}
    assert DMA in b.CLASSES.values() and ACCESS in b.CLASSES.values()


def test_the_bounds_are_those_of_both_ends() -> None:
    source = (PROTO / "limits.ts").read_text()
    values: dict[str, int] = {}
    for name, text in re.findall(r"export const (\w+) = (.+);", source):
        values[name] = eval(text.replace("/", "//"), {}, values)
    for name in (name for name in dir(limits) if name.isupper()):
        assert getattr(limits, name) == values[name], name
