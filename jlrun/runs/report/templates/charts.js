"use strict";
(() => {
  const plots = [...document.querySelectorAll(".plot")];
  const options = { responsive: true, displayModeBar: false };
  const draw = (plot) => {
    if (plot.dataset.drawn) return Promise.resolve();
    plot.dataset.drawn = "yes";
    const figure = JSON.parse(plot.nextElementSibling.textContent);
    return Plotly.newPlot(plot, figure.data, figure.layout, options);
  };
  // Charts out of sight, also those of closed sections, are drawn when they come into view.
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) draw(entry.target);
  }, { rootMargin: "400px" });
  plots.forEach((plot) => observer.observe(plot));

  const open = (id) => {
    const target = document.getElementById(id);
    if (target && target.tagName === "DETAILS") target.open = true;
  };
  const follow = () => open(decodeURIComponent(location.hash.slice(1)));
  addEventListener("hashchange", follow);
  follow();

  const closed = [];
  addEventListener("beforeprint", () => {
    document.querySelectorAll("details:not([open])").forEach((each) => {
      closed.push(each);
      each.open = true;
    });
    for (const plot of plots) draw(plot).then(() => Plotly.relayout(plot, { width: 330 }));
  });
  addEventListener("afterprint", () => {
    closed.splice(0).forEach((each) => { each.open = false; });
    plots.forEach((plot) => Plotly.relayout(plot, { width: null, autosize: true }));
  });
})();
