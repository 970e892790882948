"""The environment variables of the course: the one list of what is read and what is set.

Read: ``COURSE_CACHE``, the folder of weights and prepared data (`base.paths`), and
``COURSE_REPORT_CLAIMS``: with ``1``, claims that fail are reported, not enforced (`notebook`).
"""

# Set when `helpers` is imported, so before TensorFlow, Keras or torch is, and for every kernel.
FRAMEWORKS = {
    "TF_CPP_MIN_LOG_LEVEL": "3",  # no start-up noise from TensorFlow
    "KERAS_BACKEND": "tensorflow",  # the Keras lessons are about this one
    # Threads that wait busily make torch 5 times and scikit-learn's solvers 14 times slower on two
    # cores that have anything else to do.
    "OMP_WAIT_POLICY": "PASSIVE",
    # But not to spin at all makes small networks on a quiet machine up to 1.7 times slower: waking
    # a thread takes longer than its work.
    "GOMP_SPINCOUNT": "4000",
}
# Besides, for kernels and tests: they count from the start of a process.
PROCESS = {
    "OPENBLAS_NUM_THREADS": "1",  # the matrices are small: a second thread only waits
    "PYTHONHASHSEED": "0",  # the same order of sets in every run
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # no start-up noise from the debugger
}


def threads(number: int) -> dict[str, str]:
    """Variables that give TensorFlow and torch `number` threads: more change a result's digits."""
    return dict.fromkeys(
        ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"), str(number)
    ) | {"TF_NUM_INTEROP_THREADS": "1"}  # operations one after the other, as torch does
