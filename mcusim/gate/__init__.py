"""The gate: plans held to limits that people wrote down, for continuous integration.

- :mod:`mcusim.gate.quantity`: what can be limited, its unit, and how it is read from a plan.
- :mod:`mcusim.gate.budgets`: the file of budgets, which names networks, boards, settings and limits.
- :mod:`mcusim.gate.baseline`: the figures of an earlier state, to notice what grew.
- :mod:`mcusim.gate.verdict`: the plans made and judged, as sections and plain data.
- :mod:`mcusim.gate.junit`, :mod:`mcusim.gate.markdown`: the verdict as others read it.
- :mod:`mcusim.gate.pytest_plugin`: a test that fails when what is planned in it costs more than its limits.
"""
