"""The one exception for things a reader can put right."""


class CourseError(ValueError):
    """Something the reader can put right; the message is one sentence that says how.

    In a notebook (and so in papermill's output) it is shown without a traceback.
    """

    def _render_traceback_(self) -> list[str]:  # IPython's hook for custom tracebacks
        return [f"{type(self).__name__}: {self}"]
