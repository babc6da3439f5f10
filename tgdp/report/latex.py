"""A table in LaTeX: booktabs rules, every sign escaped, to be included with input."""

import pandas as pd

from tgdp.report import words
from tgdp.report.table import Row, Table

SIGNS = {"±": r"$\pm$", "→": r"$\rightarrow$", "—": "---", "…": r"\ldots{}"}
"""Signs that an old pdflatex does not know; replaced after escaping."""

ESCAPES = {
    "\\": r"\textbackslash{}",
    **{sign: f"\\{sign}" for sign in "%&$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}


def render(table: Table) -> str:
    """Return a table environment; it needs the booktabs package and nothing else."""
    missing = words.problems(table)
    lines = [*words.caption(table), *([f"Missing: {'; '.join(missing)}."] if missing else [])]
    parts = [
        "% Made by tgdp-report tables; needs \\usepackage{booktabs}.",
        "\\begin{table}[t]",
        "\\centering\\footnotesize\\setlength{\\tabcolsep}{4pt}",
        f"\\caption{{{escape(table.sweep.title)}. {escape(' '.join(lines))}}}",
        f"\\label{{tab:{table.sweep.name}}}",
    ]
    for block in words.blocks(table):
        if block.heading:
            parts.append(f"\n\\smallskip\\textbf{{{escape(block.heading)}}}\n\n\\smallskip")
        parts.append(_block(table, block))
    return "\n".join([*parts, "\\end{table}", ""])


def escape(text: str) -> str:
    """Return the text with everything that means something to LaTeX made plain."""
    plain = "".join(ESCAPES.get(sign, sign) for sign in text)
    return _signs(plain)


def _signs(text: str) -> str:
    for sign, command in SIGNS.items():
        text = text.replace(sign, command)
    return text


def _block(table: Table, block: words.Block) -> str:
    published = [f"published {block.columns[column]}" for column in block.published]
    heads = [words.row_head(table), *block.columns.values(), "seeds", "clips", *published]
    rows = [_row(row, block) for row in table.rows]
    frame = pd.DataFrame([*rows, *(_sanity(row, block) for row in table.sanity)], columns=heads)
    bold = pd.DataFrame("", index=frame.index, columns=frame.columns)
    for index, row in enumerate(table.rows):
        for place, column in enumerate(block.columns, start=1):
            if words.is_best(table, row, column):
                bold.iloc[index, place] = "textbf:--rwrap;"
    styler = frame.style.hide(axis="index").apply(lambda _: bold, axis=None)
    # The Styler escapes neither cells nor heads unless told to, each on its own.
    styler = styler.format(escape="latex").format_index(escape="latex", axis=1)
    text = styler.to_latex(hrules=True, column_format="l" + "r" * (len(heads) - 1))
    return _set_apart(_signs(text.strip()), len(table.sanity))


def _set_apart(text: str, rows: int) -> str:
    """Put a rule before the last rows; a row is one line."""
    lines = text.splitlines()
    end = lines.index("\\bottomrule")
    return "\n".join([*lines[: end - rows], *["\\midrule"] * bool(rows), *lines[end - rows :]])


def _row(row: Row, block: words.Block) -> list[str]:
    ours = [words.ours(row.entries[column]) for column in block.columns]
    if not row.done:
        # The rest of the reason is in the caption: a cell cannot break its line.
        ours[0] = f"{words.DASH} ({row.reason.partition(':')[0].partition(',')[0]})"
    theirs = [words.theirs(row.entries[column]) for column in block.published]
    return [row.label, *ours, words.seeds(row, block), words.clips(row, block), *theirs]


def _sanity(row: Row, block: words.Block) -> list[str]:
    shown = [words.plain(row.entries[column]) for column in block.columns]
    rest = [words.sanity_seeds(row, block), words.clips(row, block), *[""] * len(block.published)]
    return [row.label, *shown, *rest]
