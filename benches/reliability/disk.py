"""A recorded run as states of a disk: what may be there when the power goes between two calls.

What was synced is there. Of the writes to a file since its last sync each is there, is not, or is there by sectors of
512 or pages of 4096 bytes. Names come and go in the order of the calls, up to some call: either all folders in one
order, as the journal of ext4 has it, where a sync of any file makes all names before it durable; or each folder for
itself, and by a sync of the folder alone, which is all that POSIX says.
"""

from __future__ import annotations

import dataclasses
import pathlib
import random
import struct
from collections.abc import Iterator

_HEAD = struct.Struct("<II5Q")
_KINDS = (
    "",
    "open",
    "write",
    "truncate",
    "allocate",
    "rename",
    "link",
    "unlink",
    "mkdir",
    "rmdir",
    "sync",
    "sync all",
    "told",
    "mapped",
    "unknown",
)
_NAMING = {"create", "rename", "link", "unlink", "mkdir", "rmdir"}


@dataclasses.dataclass
class Call:
    """One call of the recorded process."""

    kind: str
    flags: int
    inode: int
    at: int
    path: str
    other: str
    data: bytes


def read_trace(path: pathlib.Path) -> list[Call]:
    """All calls, in order."""
    bytes_, at, calls = path.read_bytes(), 0, []
    while at < len(bytes_):
        what, flags, inode, offset, length, first, second = _HEAD.unpack_from(bytes_, at)
        at += _HEAD.size
        parts = []
        for size in (first, second, length):
            parts.append(bytes_[at : at + size])
            at += size
        calls.append(Call(_KINDS[what], flags, inode, offset, parts[0].decode(), parts[1].decode(), parts[2]))
    return calls


@dataclasses.dataclass
class File:
    """The bytes of one file: those that are durable, and what was done to it since."""

    durable: bytes = b""
    pending: list[Call] = dataclasses.field(default_factory=list)

    def now(self) -> bytes:
        """As the running system has it."""
        content = bytearray(self.durable)
        for call in self.pending:
            _apply(content, call)
        return bytes(content)

    def after_a_cut(self, dice: random.Random, fate: str) -> bytes:
        """As it may be found."""
        content = bytearray(self.durable)
        for call in self.pending:
            kept = fate == "kept" or (fate == "random" and dice.random() < 0.5)
            if kept:
                _apply(content, call)
            elif fate == "random" and call.kind == "write" and dice.random() < 0.5:
                _tear(content, call, dice)
        return bytes(content)


def _apply(content: bytearray, call: Call) -> None:
    end = call.at + len(call.data)
    if call.kind == "truncate":
        del content[call.at :]
    if len(content) < end:
        content.extend(bytes(end - len(content)))
    if call.kind == "write":
        content[call.at : end] = call.data


def _tear(content: bytearray, call: Call, dice: random.Random) -> None:
    """Some of the sectors, or the pages, of a write."""
    unit = dice.choice((512, 4096))
    end = call.at + len(call.data)
    for start in range(call.at - call.at % unit, end, unit):
        if dice.random() < 0.5:
            first, last = max(start, call.at), min(start + unit, end)
            part = dataclasses.replace(call, at=first, data=call.data[first - call.at : last - call.at])
            _apply(content, part)


class Disk:
    """A folder and its files under the calls of a trace."""

    def __init__(self, folder: pathlib.Path, names: str) -> None:
        """What lies in `folder` now is durable; `names` is "ext4" or "posix"."""
        self.names_by = names
        self.files: dict[int, File] = {}
        self.names: dict[str, int] = {}
        self.folders = {""}
        self.pending: list[Call] = []
        for path in sorted(folder.rglob("*")):
            name = str(path.relative_to(folder))
            if path.is_dir():
                self.folders.add(name)
            else:
                inode = path.stat().st_ino
                self.names[name] = inode
                self.files[inode] = File(path.read_bytes())
        self.durable = (dict(self.names), set(self.folders))

    def do(self, call: Call) -> None:
        """Takes one call of the trace."""
        if call.kind == "open":
            self._open(call)
        elif call.kind in ("write", "truncate", "allocate"):
            self._change(call)
        elif call.kind in _NAMING:
            self._name(call)
        elif call.kind == "sync":
            self._sync(call)
        elif call.kind == "sync all":
            self._settle(lambda _: True)
            for file in self.files.values():
                file.durable, file.pending = file.now(), []

    def _open(self, call: Call) -> None:
        if call.path not in self.names:
            self.files[call.inode] = File()
            self._name(dataclasses.replace(call, kind="create"))
        elif call.flags:
            self._change(dataclasses.replace(call, kind="truncate", at=0))

    def _change(self, call: Call) -> None:
        file = self.files.setdefault(call.inode, File())
        file.pending.append(call)
        if call.kind == "write" and call.flags:
            content = bytearray(file.durable)
            _apply(content, call)
            file.durable = bytes(content)

    def _name(self, call: Call) -> None:
        _rename(self.names, self.folders, call)
        self.pending.append(call)

    def _sync(self, call: Call) -> None:
        if call.path in self.folders:
            self._settle(lambda name: self.names_by == "ext4" or _parent(name) == call.path)
            return
        file = self.files.setdefault(call.inode, File())
        file.durable, file.pending = file.now(), []
        if self.names_by == "ext4":
            self._settle(lambda _: True)

    def _settle(self, is_due: object) -> None:
        names, folders = self.durable
        left = []
        for call in self.pending:
            if is_due(call.other or call.path):
                _rename(names, folders, call)
            else:
                left.append(call)
        self.pending = left

    def _names_after_a_cut(self, dice: random.Random, fate: str) -> tuple[dict[str, int], set[str]]:
        names, folders = dict(self.durable[0]), set(self.durable[1])
        if fate == "kept":
            return dict(self.names), set(self.folders)
        parents = {"" if self.names_by == "ext4" else _parent(call.other or call.path) for call in self.pending}
        for parent in sorted(parents):
            calls = [c for c in self.pending if self.names_by == "ext4" or _parent(c.other or c.path) == parent]
            for call in calls[: dice.randint(0, len(calls)) if fate == "random" else 0]:
                _rename(names, folders, call)
        return names, folders

    def write_image(self, target: pathlib.Path, seed: int, fate: str) -> None:
        """What may be found, into the folder `target`: all "kept", all that may go "dropped", or "random"."""
        dice = random.Random(seed)
        names, folders = self._names_after_a_cut(dice, fate)
        target.mkdir(parents=True, exist_ok=True)
        for name in sorted(folders):
            (target / name).mkdir(parents=True, exist_ok=True)
        contents = {inode: file.after_a_cut(dice, fate) for inode, file in sorted(self.files.items())}
        for name, inode in sorted(names.items()):
            if _parent(name) in folders:
                (target / name).write_bytes(contents.get(inode, b""))

    def differs_from(self, folder: pathlib.Path) -> Iterator[str]:
        """Names whose bytes are not those in `folder`: what the trace does not tell."""
        there = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
        for name in sorted(set(there) ^ set(self.names)):
            yield name
        for name in sorted(set(there) & set(self.names)):
            if self.files[self.names[name]].now() != there[name].read_bytes():
                yield name


def _parent(name: str) -> str:
    return name.rpartition("/")[0]


def _rename(names: dict[str, int], folders: set[str], call: Call) -> None:
    if call.kind == "create":
        names[call.path] = call.inode
    elif call.kind == "unlink":
        names.pop(call.path, None)
    elif call.kind == "mkdir":
        folders.add(call.path)
    elif call.kind == "rmdir":
        folders.discard(call.path)
    elif call.kind in ("rename", "link") and call.path in names:
        names[call.other] = names[call.path]
        if call.kind == "rename" and call.other != call.path:
            del names[call.path]
    elif call.kind == "rename" and call.path in folders:
        _rename_folder(names, folders, call)


def _rename_folder(names: dict[str, int], folders: set[str], call: Call) -> None:
    inside = call.path + "/"
    for name in [name for name in names if name.startswith(inside)]:
        names[call.other + name[len(call.path) :]] = names.pop(name)
    for name in [name for name in folders if name == call.path or name.startswith(inside)]:
        folders.discard(name)
        folders.add(call.other + name[len(call.path) :])
