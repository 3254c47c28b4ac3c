"""Draws the pictures of docs/performance.md from what the benchmarks print with -json, kept in docs/performance/.

    plot.py docs/performance

reads latency.json, soak.json and members-PARTITIONS.json there, and writes an SVG beside each kind.
"""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot as plt

# Okabe and Ito's colours, which colour-blind people can tell apart.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#777777"

plt.rcParams.update({
    "svg.fonttype": "none", "svg.hashsalt": "mlmonitor", "font.family": "sans-serif", "font.size": 10,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "#e5e5e5", "axes.axisbelow": True,
    "legend.frameon": False, "figure.facecolor": "white",
})


def save(figure, path):
    if figure.get_layout_engine() is None:
        figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    print(path)


def latency(results, out):
    """p50 and p99 against the interval of gathering, a panel for each rate."""
    rates = sorted({r["rate"] for r in results})
    figure, panels = plt.subplots(1, len(rates), figsize=(10, 3.8), sharey=True, layout="constrained")
    for panel, rate in zip(panels, rates):
        for program, label, colour in (("pass", "copy", GREY), ("score", "score", BLUE)):
            points = sorted((r["interval_ms"], r["p50_ms"], r["p99_ms"]) for r in results if r["rate"] == rate and r["program"] == program)
            at = range(len(points))
            panel.plot(at, [p[1] for p in points], "o-", color=colour, label=f"{label}, p50")
            panel.plot(at, [p[2] for p in points], "s--", color=colour, markerfacecolor="white", label=f"{label}, p99")
            panel.set_xticks(at, [f"{p[0]:g}" for p in points])
        for r in results:
            if r["rate"] == rate and r["program"] == "streams":
                panel.axhline(r["p50_ms"], color=ORANGE, linewidth=1, label="Kafka Streams at 10 ms, p50")
        panel.set_title(f"{rate:,} transactions/s", fontsize=10)
        panel.set_xlabel("CONSUMER_TXN_INTERVAL, ms")
        panel.set_yscale("log")
        panel.set_yticks([2, 5, 10, 20, 50, 100, 200], ["2", "5", "10", "20", "50", "100", "200"])
    panels[0].set_ylabel("due to a read_committed reader, ms")
    handles, labels = panels[-1].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=8, ncols=len(labels), loc="outside lower center")
    save(figure, out / "latency.svg")


def soak(result, out):
    """Memory, lag and speed over time."""
    points = result["points"]
    minutes = [p["seconds"] / 60 for p in points]
    figure, panels = plt.subplots(3, 1, figsize=(8, 5.4), sharex=True)
    panels[0].plot(minutes, [p["resident_mib"] for p in points], color=BLUE)
    panels[0].set_ylabel("resident, MiB")
    panels[1].plot(minutes, [p["lag"] / 1e3 for p in points], color=ORANGE)
    panels[1].set_ylabel("lag, thousands")
    step = 5  # seconds over which the speed is taken
    panels[2].plot(minutes[step:], [(b["answered"] - a["answered"]) / (b["seconds"] - a["seconds"]) / 1e3 for a, b in zip(points, points[step:])], color=GREEN)
    panels[2].set_ylabel("thousands/s")
    for panel in panels:
        panel.set_ylim(bottom=0)
    panels[2].set_xlabel("minutes at full speed")
    save(figure, out / "soak.svg")


def members(files, out):
    """Throughput of score by members and partitions, beside copying in the same runs."""
    figure, panel = plt.subplots(figsize=(7, 3.6))
    width = 0.2
    series = (("exactly-once pass-through", "copy", GREY), ("score, SCORE_MEMBERS=1", "score, 1 member", "#9ecae1"), ("score", "score, 2 members", BLUE),
              ("score, SCORE_MEMBERS=4", "score, 4 members", "#08306b"))
    for i, (name, label, colour) in enumerate(series):
        heights = [next(f["records_per_second"] for f in figures if f["name"] == name) / 1e3 for figures in files.values()]
        panel.bar([x + (i - 1.5) * width for x in range(len(files))], heights, width * 0.9, color=colour, label=label)
    panel.set_xticks(range(len(files)), [f"{p} partitions" for p in files])
    panel.set_ylabel("thousands of transactions/s")
    panel.grid(axis="x", visible=False)
    panel.legend(fontsize=8, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.12))
    save(figure, out / "members.svg")


def main(folder):
    def read(name):
        return json.loads((folder / name).read_text(encoding="utf-8"))

    latency(read("latency.json"), folder)
    soak(read("soak.json"), folder)
    by_partitions = sorted(folder.glob("members-*.json"), key=lambda path: int(path.stem.split("-")[1]))
    members({path.stem.split("-")[1]: read(path.name) for path in by_partitions}, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
