"""``ac.step``: the calculation and its sweep, one event at a time.

contributions (what an operand receives, as a formula and term by term), condition (elements and conditions as text),
stepper (events, and a walk through them); then how it is shown: terminal, page (with static), filmstrip; training
(``ac.record_training``).
"""
