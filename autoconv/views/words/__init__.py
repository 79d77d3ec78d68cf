"""What a reader reads: formulas and numbers as text, LaTeX and MathML; names, colours and roles.

text and latex write a line from its row of the table, mathml turns LaTeX into what a page shows; element finds what is
meant by ``w[0, 0]``; colour gives each element of a tensor one colour for all views; roles tells parameters from results.
"""
