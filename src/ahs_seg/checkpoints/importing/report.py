"""What an import did with every key of the file."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path


@dataclass(frozen=True)
class ImportReport:
    """Result of an import: for every key of the file the new keys (`mapped`), or the reason why it was `ignored`.

    `clip` names the CLIP, `settings` are its heads and activation, `notes` tell which wrappers of keys were removed.
    """

    source: Path
    kind: str
    clip: str
    settings: str
    mapped: dict[str, tuple[str, ...]]
    ignored: dict[str, str]
    numbers: int
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.source.name}: {self.kind} on {self.clip}, {self.numbers:,} parameters"]
        lines += [f"  CLIP: {self.settings}", *(f"  {note}" for note in self.notes)]
        lines += [f"  mapped: {len(self.mapped)} keys, which give every weight of the model"]
        by_reason = sorted(self.ignored, key=self.ignored.__getitem__)
        for reason, group in groupby(by_reason, self.ignored.__getitem__):
            keys = list(group)
            shown = ", ".join(keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
            lines += textwrap.wrap(f"ignored: {reason}: {shown}", 118, initial_indent="  ", subsequent_indent="    ")
        return "\n".join(lines)

    def listing(self) -> str:
        """One line per key of the file: the new keys, or the reason why it was ignored."""
        fates = {key: " ".join(names) for key, names in self.mapped.items()}
        fates |= {key: f"ignored: {reason}" for key, reason in self.ignored.items()}
        return "\n".join(f"{key} -> {fate}" for key, fate in sorted(fates.items()))
