"""Label lists: `index,mid,display_name`, as AudioSet and VGGSound are published."""

import csv
import difflib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tgdp.errors import UserError

COLUMNS = ("index", "mid", "display_name")


@dataclass(frozen=True)
class LabelVocabulary:
    """Every label there is, in the order of the classes.

    Attributes:
        mids: Machine ids, the form that samples store.
        names: Names to show.
        file: Where it was read, for error messages; None where the manifest names the labels.
    """

    mids: tuple[str, ...]
    names: tuple[str, ...]
    file: Path | None = None
    _by_word: dict[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        words = dict(zip(self.names, self.mids, strict=True)) | {mid: mid for mid in self.mids}
        object.__setattr__(self, "_by_word", words)

    def __len__(self) -> int:
        return len(self.mids)

    def mid(self, word: str) -> str | None:
        """Return the mid of a label given as mid or as name, None where there is no such label."""
        return self._by_word.get(word)

    def refusal(self, word: str, where: str) -> UserError:
        """Return the error for a label that is not in the list, with the nearest valid ones."""
        near = difflib.get_close_matches(word, list(self._by_word), n=3, cutoff=0.5)
        hint = f"; nearest: {', '.join(near)}" if near else ""
        return UserError(f"{where}: label '{word}' is not in {self.file}{hint}")

    def to_csv(self) -> str:
        """Return the list as the text that `read_labels` reads."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(zip(range(len(self)), self.mids, self.names, strict=True))
        return text.getvalue()


def vocabulary_of(labels: Iterable[Sequence[str]]) -> LabelVocabulary:
    """Return the labels that clips name, sorted: the list where no label file is given."""
    mids = tuple(sorted({mid for clip in labels for mid in clip}))
    return LabelVocabulary(mids, mids)


def read_labels(file: Path) -> LabelVocabulary:
    """Return the label list of a CSV file.

    Raises:
        UserError: The file is absent, lacks a column, or names a label twice.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines)
            found = reader.fieldnames or []
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{file}: cannot read the label list ({error})") from error
    missing = [name for name in COLUMNS if name not in found]
    if missing:
        raise UserError(
            f"{file}: column '{missing[0]}' is missing; a label list has {','.join(COLUMNS)}, "
            f"this has {','.join(found)}"
        )
    mids = tuple(row["mid"] for row in rows)
    repeated = {mid for mid in mids if mids.count(mid) > 1} if len(set(mids)) < len(mids) else ()
    if repeated:
        raise UserError(f"{file}: label '{min(repeated)}' is there twice")
    return LabelVocabulary(mids, tuple(row["display_name"] or "" for row in rows), file)
