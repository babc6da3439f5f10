"""A table in markdown, narrow enough to read in a terminal."""

from tgdp.report import words
from tgdp.report.table import Row, Table


def render(table: Table) -> str:
    """Return the table with its title, its notes and what is missing."""
    parts = [f"# {table.sweep.title}", table.sweep.question]
    for block in words.blocks(table):
        parts += [f"**{block.heading}**"] if block.heading else []
        parts.append(_block(table, block))
    parts.append("\n".join(f"- {_escape(line)}" for line in words.caption(table)))
    if missing := words.problems(table):
        parts.append("Missing:\n\n" + "\n".join(f"- {_escape(line)}" for line in missing))
    return "\n\n".join(parts) + "\n"


def _block(table: Table, block: words.Block) -> str:
    heads = [words.row_head(table), *block.columns.values(), "seeds", "clips"]
    heads += [f"published {block.columns[column]}" for column in block.published]
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)]]
    lines += [_row(table, row, block) for row in table.rows]
    if table.sanity:
        # Markdown has no rule between rows: an empty one sets the rest apart.
        lines += [[""] * len(heads), *(_sanity(row, block) for row in table.sanity)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _row(table: Table, row: Row, block: words.Block) -> list[str]:
    ours = [_cell(table, row, column) for column in block.columns]
    if not row.done:
        ours[0] = f"{words.DASH} ({_escape(row.reason)})"
    theirs = [words.theirs(row.entries[column]) for column in block.published]
    return [_escape(row.label), *ours, words.seeds(row, block), words.clips(row, block), *theirs]


def _sanity(row: Row, block: words.Block) -> list[str]:
    shown = [f"*{words.plain(row.entries[column])}*" for column in block.columns]
    rest = [words.sanity_seeds(row, block), words.clips(row, block), *[""] * len(block.published)]
    return [f"*{_escape(row.label)}*", *shown, *rest]


def _cell(table: Table, row: Row, column: int) -> str:
    text = words.ours(row.entries[column])
    return f"**{text}**" if words.is_best(table, row, column) else text


def _escape(text: str) -> str:
    # A bar would end the cell; an underscore, a star or a bracket in an error would format it.
    for sign in "\\|*_<`[":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())
