"""What a run finds: query, first answers, rank of the true one; frames above spectrograms."""

from tgdp.evaluation.gallery import NUM_ANSWERS, Exhibit, Gallery, Query

from . import panels
from .panels import EDGE, GAP, LINE, Sheet, Size
from .theme import png, styled

SIDE = 150
"""About as high as a frame and a spectrogram are drawn."""

HIT, MISS, ASKED = "#1a8f3c", "#d9a3a3", "#334455"
"""Frames of a true answer, of another one, and of the query."""

WORDS = {"a2v": "sound to film", "v2a": "film to sound"}


def draw(made: Gallery) -> bytes:
    """Return the picture as a PNG file, a row a query."""
    some = next(iter(made.exhibits.values())).shown
    frame, sound = panels.frame_size(some.image, SIDE), panels.sound_size(some.audio, SIDE)
    cell = Size(max(frame.width, sound.width), frame.height + sound.height + GAP)
    row = 3 * LINE + cell.height + GAP
    width = 2 * EDGE + (1 + NUM_ANSWERS) * (cell.width + GAP) + GAP
    source = made.source
    words = panels.wrapped(
        [
            f"Run {source.run}, step {source.step}; {made.num_clips} clips of {source.dataset}, "
            f"split '{source.split}'. First the query, then its first {NUM_ANSWERS} answers with "
            "their scores; green: the true one."
        ],
        width - 2 * EDGE,
    )
    with styled():
        end = EDGE + row * len(made.queries)
        sheet = Sheet(width, end + LINE * len(words) + EDGE)
        for number, query in enumerate(made.queries):
            _row(sheet, EDGE + number * row, query, made, (frame, sound, cell))
        for number, line in enumerate(words):
            sheet.text(EDGE, end + number * LINE, line)
        return png(sheet.figure)


def _row(
    sheet: Sheet, top: int, query: Query, made: Gallery, sizes: tuple[Size, Size, Size]
) -> None:
    title = f"{WORDS[query.direction]}: {query.clip}, true answer at rank {query.rank:,}"
    sheet.text(EDGE, top, title, fontweight="bold")
    cells = [(query.clip, "query", ASKED)]
    for place, answer in enumerate(query.answers, 1):
        colour = HIT if answer.is_truth else MISS
        cells.append((answer.clip, f"{place}. {answer.score:.2f} {answer.clip}", colour))
    left = EDGE
    for number, (clip, words, colour) in enumerate(cells):
        _cell(sheet, (left, top + LINE), made.exhibits[clip], (words, colour), sizes)
        left += sizes[2].width + GAP * (2 if number == 0 else 1)


def _cell(
    sheet: Sheet,
    corner: tuple[int, int],
    exhibit: Exhibit,
    label: tuple[str, str],
    sizes: tuple[Size, Size, Size],
) -> None:
    (left, top), (words, colour), (frame, sound, cell) = corner, label, sizes
    room = int(cell.width / panels.LETTER)
    sheet.text(left, top, words if len(words) <= room else f"{words[: room - 1]}…")
    top += LINE
    audio = exhibit.shown.audio
    spectrogram = panels.coloured(audio, panels.scale_of(audio))[::-1]  # low frequencies below
    for size, offset, pixels in (
        (frame, 0, exhibit.shown.image),
        (sound, frame.height + GAP, spectrogram),
    ):
        axes = sheet.axes(left, top + offset, size)
        axes.imshow(pixels, aspect="auto")
        axes.set_xticks([])
        axes.set_yticks([])
        for side in axes.spines.values():
            side.set(visible=True, linewidth=2, color=colour)
