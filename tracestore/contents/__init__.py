"""What a store's file holds, noun by noun, and what may be done with it: traces, assessments, experiments.

Each verb is a function of the file (`storage.file.File`) and of what its caller gave. Knows no Store, which has a
thin method for each, and no threads; what runs in this process it sees as a `recordings.Recording`.
"""
