"""`r1-trl pipeline`: the stages of a recipe in a row, each an ordinary command, resumable at every point.

`definition` reads the file, `inputs` says what decides a stage's result, `plan` what has to run and why, `check`
whether it can, `run` and `process` run it, `folder` keeps what was done, `report` tells what came out, and `command`
puts them together.
"""
