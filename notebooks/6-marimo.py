# Open it with: marimo edit notebooks/6-marimo.py

import marimo

app = marimo.App()


@app.cell
def _():
    import marimo as mo

    mo.md(
        """
        # In marimo

        **You will learn** to watch tasks in a [marimo](https://marimo.io) notebook, and why a cell that
        runs again starts nothing twice.

        This notebook runs as it is, without an account or a network: it uses the real Claude Code CLI, and
        a script answers in place of the model. The next cell sets that up. Leave out the call of
        `practice.begin` if you use an account of your own.
        """
    )
    return (mo,)


@app.cell
def _():
    import cpr_nb as cpr
    from cpr_nb.offline import practice

    practice.begin("quickstart")
    prompts = ["Summarise shop.py.", "Is there a bug in shop.py?"]
    return cpr, prompts


@app.cell
def _(mo):
    mo.md(
        """
        ## Start and watch

        marimo runs a cell again whenever something that it uses has changed. So a launch attaches to the
        session that did the same: only new prompts start. `fresh=True` starts all of them again.
        """
    )
    return


@app.cell
def _(cpr, prompts):
    s = cpr.launch(prompts, max_parallel=2, name="first-steps")
    return (s,)


@app.cell
def _(mo, s):
    mo.ui.anywidget(s.widget())
    return


@app.cell
def _(mo):
    mo.md(
        """
        ## Results

        A cell that waits for the session keeps the kernel busy: the view above is still updated, but its
        buttons are answered afterwards. In a terminal, `cpr watch` and `cpr cancel` act at once.
        """
    )
    return


@app.cell
def _(s):
    s.wait()
    s.results_df()
    return


@app.cell
def _(cpr, mo):
    mo.ui.anywidget(cpr.dashboard().widget())
    return


if __name__ == "__main__":
    app.run()
