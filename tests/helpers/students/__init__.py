"""Students' functions in the signatures of courses, right in several ways and with one bug each."""
