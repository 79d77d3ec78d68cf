"""``ac.live``: the calculation itself in a page, forward and sweep, computed there whenever something is changed.

``recorded`` makes one program of the tape and its sweep; ``encode`` writes a program as data; ``column`` is the table's
column for JavaScript, and assembles the interpreter (``static/``, the files in their order); ``page`` puts data and
script into one HTML file; ``training`` says what a page needs to take an optimiser's steps; ``live`` is the door.
"""
