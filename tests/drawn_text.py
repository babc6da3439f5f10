"""The text of a figure, for the tests that no word is written over another."""


def text_boxes(figure):
    """Every piece of visible text and where it stands."""
    from matplotlib.text import Text

    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    found = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
    boxes = [(t.get_text(), t.get_window_extent(renderer)) for t in found]
    # Ticks outside the range are objects too, but are not drawn.
    drawn = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            for tick in axis._update_ticks():
                drawn |= {id(tick.label1), id(tick.label2)}
    ticks = {id(t) for a in figure.axes for x in (a.xaxis, a.yaxis) for t in tick_labels(x)}
    keep = [id(t) not in ticks or id(t) in drawn for t in found]
    return [box for box, kept in zip(boxes, keep, strict=True) if kept]


def tick_labels(axis):
    return [label for tick in axis.get_major_ticks() for label in (tick.label1, tick.label2)]
