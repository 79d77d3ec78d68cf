"""Marking: functions that somebody wrote, judged at geometries that show what others hide.

layer, geometries, variants   what a layer of a course is; the shapes to try; other forwards than the course's
courses                       the layers of each course: facts of layout, signature and names
families, described           the geometries of a function that is no course's; what ``like`` and ``call`` describe
asking                        the functions called, in this process or, by ``apart``, in another with limits
repair                        one change of the functions' own source with which a gradient is right
relations, fed, terms         what a wrong gradient is to the right one: numbers, factors and terms that are not right
measured                      the same where differences of the forward are all that is known
truth, naming, judge          the right numbers, the mistake that explains the wrong ones, the verdict
"""
