"""Draw what the dashboard shows, with its own queries, from a Prometheus that watches a stack at work.

python -m benchmarks.dashboard http://localhost:9090 deploy/grafana/dashboard.png --minutes 15
"""

import argparse
import json
import time
from pathlib import Path

import httpx
import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, PercentFormatter

DASHBOARD = Path(__file__).parent.parent / "deploy/grafana/dashboards/digit-classifier.json"
COLUMNS = 24
STEP_SECONDS = 5
FORMATTERS = {"percentunit": PercentFormatter(1, decimals=1), "bytes": EngFormatter("B"), "s": EngFormatter("s")}


def main() -> None:
    """Ask for every panel and draw them where the dashboard has them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("prometheus", help="its address")
    parser.add_argument("picture", type=Path, help="the PNG to write")
    parser.add_argument("--minutes", type=float, default=15, help="how far back (default: %(default)s)")
    arguments = parser.parse_args()
    panels = json.loads(DASHBOARD.read_text())["panels"]
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    figure = plt.figure(figsize=(16, rows * 0.42))
    for panel in panels:
        place = panel["gridPos"]
        left, top = place["x"] / COLUMNS, 1 - place["y"] / rows
        if panel["type"] == "row":
            figure.text(0.01, top - 0.6 / rows, panel["title"], fontsize=15, weight="bold")
            continue
        width, height = place["w"] / COLUMNS - 0.05, (place["h"] - 2.4) / rows
        axes = figure.add_axes((left + 0.035, top - place["h"] / rows + 1.2 / rows, width, height))
        axes.set_title(panel["title"], fontsize=10, loc="left")
        draw(axes, panel, arguments.prometheus, arguments.minutes)
    figure.savefig(arguments.picture, dpi=70)


def draw(axes: Axes, panel: dict, prometheus: str, minutes: float) -> None:
    """Draw one panel: a number, bars, or lines over time."""
    series = [
        (label(target["legendFormat"], each["metric"]), [(float(at), float(value)) for at, value in each["values"]])
        for target in panel["targets"]
        for each in asked(prometheus, target["expr"], minutes)
    ]
    if panel["type"] == "timeseries":
        for name, points in series:
            axes.plot([(at - time.time()) / 60 for at, _ in points], [value for _, value in points], label=name, lw=1.2)
        highest = max((value for _, points in series for _, value in points), default=0)
        axes.set_ylim(0, 1.35 * highest or 1)  # room for the legend
        if formatter := FORMATTERS.get(panel["fieldConfig"]["defaults"]["unit"]):
            axes.yaxis.set_major_formatter(formatter)
        axes.tick_params(labelsize=7)
        axes.legend(fontsize=6, loc="upper left", ncols=2)
    elif panel["type"] == "bargauge":
        counts = {name: points[-1][1] for name, points in series}
        if panel["targets"][0].get("format") == "heatmap":
            counts = by_bucket(counts)
        axes.bar(list(counts), list(counts.values()))
        axes.tick_params(labelsize=7)
    else:
        axes.axis("off")
        percent = panel["fieldConfig"]["defaults"]["unit"] == "percentunit"
        shown = [(f"{points[-1][1]:.2%}" if percent else f"{points[-1][1]:g}", name) for name, points in series]
        text = "\n".join(f"{value}  {name}" for value, name in shown)
        axes.text(0.02, 0.5, text, fontsize=15 if len(text) < 20 else 10, va="center")


def by_bucket(cumulative: dict[str, float]) -> dict[str, float]:
    """Return the counts of each bucket, in order, from those of it and all below it, as Grafana does for a heatmap."""
    bounds = sorted(cumulative, key=float)
    return {bound: cumulative[bound] - cumulative.get(below, 0) for below, bound in zip(["", *bounds], bounds, strict=False)}


def label(form: str, metric: dict[str, str]) -> str:
    """Put the labels of a series into a legend's form, as Grafana does."""
    for name, value in metric.items():
        form = form.replace("{{" + name + "}}", value)
    return form


def asked(prometheus: str, query: str, minutes: float) -> list[dict]:
    """Return the series of `query` over the last `minutes`."""
    now = time.time()
    window = {"query": query, "start": str(now - 60 * minutes), "end": str(now), "step": str(STEP_SECONDS)}
    answer = httpx.get(f"{prometheus}/api/v1/query_range", params=window, timeout=30).raise_for_status()
    return answer.json()["data"]["result"]


if __name__ == "__main__":
    main()
