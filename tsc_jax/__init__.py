"""TSC-Net for weakly-supervised temporal action localization (WTAL), in JAX.

An untrimmed video is a sequence of snippet features; training sees only which
actions occur in it; the output says which action happens from when to when.

Letters used for shapes everywhere in this package:

  B  videos of a batch            K  rows of the semantics bank
  T  snippets of a video          P  pairs of videos of a batch
  D  width of a snippet feature   N  segments (ground truth or predicted)
  C  action classes; where an axis has C + 1 entries, index C is background

Times are in seconds or in snippets; every public docstring says which.
"""

__version__ = "0.1.0"
