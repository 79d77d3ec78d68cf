"""``ac.step``: forward and backward one event at a time; the sweep is the engine's own, run to its end.

trace, rule and accumulation (events and their formulas), condition (elements and comparisons), stepper, terminal;
gridpicture (the geometry of convolution and pooling), pack, page, static and filmstrip (the page); training.
"""
