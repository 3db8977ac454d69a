/* Draws the book's figures with Plotly: when they come near the window, in the page's theme, at its
   width. A figure is <figure class="sg-figure"> as written by shared_geometry.publishing.display. */
(() => {
  "use strict";

  const NARROW = 600; // pixels; below it narrow.js lays out, then layout.meta.narrow changes that
  const NEAR = "600px";
  const CONFIG = {
    displaylogo: false,
    responsive: false, // arranged below, where the layout changes with the width
    modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d", "resetCameraLastSave3d"],
  };
  const CLEAR = "rgba(0,0,0,0)";
  const drawn = new Map(); // figure element -> {spec, width}

  const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

  /** A copy of `under` with what `over` says laid on top, objects merged. */
  function merged(under, over) {
    const result = { ...under };
    for (const [key, value] of Object.entries(over)) {
      result[key] = isObject(value) && isObject(result[key]) ? merged(result[key], value) : value;
    }
    return result;
  }

  function colours() {
    const css = getComputedStyle(document.documentElement);
    const get = (name) => css.getPropertyValue(`--sg-${name}`).trim();
    return { text: get("text"), muted: get("muted"), line: get("line"), surface: get("surface") };
  }

  /** What the page's theme says about figures, as a Plotly template. */
  function theme() {
    const { text, muted, line, surface } = colours();
    const axis = {
      color: text, gridcolor: line, linecolor: line, tickcolor: line, zerolinecolor: line,
      tickfont: { color: muted },
    };
    const wall = { ...axis, backgroundcolor: CLEAR, zerolinecolor: line };
    const bar = { outlinewidth: 0, tickcolor: line, tickfont: { color: muted } };
    const control = { bgcolor: surface, bordercolor: line, font: { color: text } };
    const coloured = {};
    for (const type of ["heatmap", "surface", "contour", "scatter", "scatter3d"]) {
      coloured[type] = [
        type.startsWith("scatter") ? { marker: { colorbar: bar } } : { colorbar: bar },
      ];
    }
    return {
      layout: {
        paper_bgcolor: CLEAR,
        plot_bgcolor: CLEAR,
        font: { color: text, family: getComputedStyle(document.body).fontFamily },
        title: { font: { color: text } },
        xaxis: axis,
        yaxis: axis,
        scene: { xaxis: wall, yaxis: wall, zaxis: wall, bgcolor: CLEAR },
        legend: { bgcolor: CLEAR, font: { color: text } },
        hoverlabel: { bgcolor: surface, bordercolor: line, font: { color: text } },
        annotationdefaults: { font: { color: text }, arrowcolor: muted },
        updatemenudefaults: control,
        sliderdefaults: {
          ...control, activebgcolor: muted, tickcolor: line, currentvalue: { font: { color: text } },
        },
        coloraxis: { colorbar: bar },
        modebar: { bgcolor: CLEAR, color: muted, activecolor: text },
      },
      data: coloured,
    };
  }

  /** The template of a figure under the page's theme; other trace defaults stay as they are. */
  function themed(template) {
    const over = theme();
    const data = { ...(template.data || {}) };
    for (const [type, [first]] of Object.entries(over.data)) {
      const own = data[type] && data[type].length ? data[type] : [{}];
      data[type] = own.map((entry) => merged(entry, first));
    }
    return { layout: merged(template.layout || {}, over.layout), data };
  }

  function layoutOf(spec, width) {
    const own = spec.layout || {};
    const narrow = width < NARROW;
    const base = narrow ? window.sgNarrow(own, width) : own;
    const layout = merged(base, (narrow && own.meta && own.meta.narrow) || {});
    if (narrow) layout.updatemenus = window.sgNarrowMenus(layout.updatemenus);
    delete layout.paper_bgcolor;
    delete layout.plot_bgcolor;
    if ((own.meta || {}).frame) byThePage(layout);
    layout.template = themed(own.template || {});
    layout.uirevision = "reader"; // zoom, view and selection outlive a new theme
    layout.width = width;
    if (narrow && layout.dragmode === undefined) layout.dragmode = false; // a finger scrolls
    return layout;
  }

  /** A matrix as Plotly takes it, from the bytes of shared_geometry.publishing.packing; null where none is. */
  function unpacked({ step, shape: [rows, columns], bytes }) {
    const cells = Int8Array.from(atob(bytes), (letter) => letter.charCodeAt(0));
    const row = (i) => Array.from(
      cells.subarray(i * columns, (i + 1) * columns), (cell) => (cell === -128 ? null : Number((cell * step).toFixed(4))),
    );
    return Array.from({ length: rows }, (_, i) => row(i));
  }

  function unpack(spec) {
    const frames = (spec.frames || []).map((frame) => frame.data);
    for (const trace of [spec.data, ...frames].flat()) {
      if (trace.z && trace.z.bytes !== undefined) trace.z = unpacked(trace.z);
    }
    return spec;
  }

  const plotOf = (figure) => figure.querySelector(".sg-plot");

  /** Turning one scene turns the others. */
  function linkCameras(plot) {
    const scenes = Object.keys(plot.layout).filter((key) => /^scene\d*$/.test(key));
    if (scenes.length < 2) return;
    let following = false;
    const follow = (event) => {
      const moved = scenes.find((scene) => event[`${scene}.camera`]);
      if (!moved || following) return;
      following = true;
      const others = scenes.filter((scene) => scene !== moved);
      const cameras = others.map((scene) => [`${scene}.camera`, event[`${moved}.camera`]]);
      Plotly.relayout(plot, Object.fromEntries(cameras)).finally(() => (following = false));
    };
    plot.on("plotly_relayouting", follow);
    plot.on("plotly_relayout", follow);
  }

  /** What controls would do by themselves is left to linkControls. */
  function byThePage(layout) {
    const skip = (entry) => ({ ...entry, method: "skip" });
    layout.updatemenus = (layout.updatemenus || []).map((menu) => ({
      ...menu, buttons: menu.buttons.map(skip),
    }));
    layout.sliders = (layout.sliders || []).map((slider) => ({
      ...slider, steps: slider.steps.map(skip),
    }));
  }

  /** Several controls choose one frame together: it is named by the labels of all of them. */
  function linkControls(plot) {
    const { frame, headings } = plot.layout.meta || {};
    if (!frame) return;
    const chosen = [...frame]; // menus, then sliders
    const menus = (plot.layout.updatemenus || []).length;
    const now = { mode: "immediate", frame: { duration: 0, redraw: true }, transition: { duration: 0 } };
    async function choose(place, label) {
      chosen[place] = label;
      const name = chosen.join(" | ");
      await Plotly.animate(plot, [name], now);
      const texts = ((headings || {})[name] || []).map((text, i) => [`annotations[${i}].text`, text]);
      if (texts.length) await Plotly.relayout(plot, Object.fromEntries(texts));
    }
    plot.on("plotly_buttonclicked", ({ menu, button }) => choose(menu._index, button.label));
    plot.on("plotly_sliderchange", ({ slider, step }) => choose(menus + slider._index, step.label));
  }

  /** A cell under the pointer is told in all panels. */
  function linkHover(plot) {
    if ((plot.layout.meta || {}).hover !== "together") return;
    let last = "";
    plot.on("plotly_hover", ({ points: [point] }) => {
      const cell = point.pointNumber;
      if (String(cell) === last) return;
      last = String(cell);
      const [yval, xval] = cell;
      const all = plot._fullData.map((trace, curveNumber) => ({ curveNumber, xval, yval }));
      const panels = plot._fullData.map((trace) => trace.xaxis + trace.yaxis);
      Plotly.Fx.hover(plot, all, panels);
    });
    plot.on("plotly_unhover", () => (last = ""));
  }

  /** The two images of the cell under the pointer are shown below the figure. */
  function linkPictures(plot) {
    const { pictures } = plot.layout.meta || {};
    const known = plot.parentElement.querySelector(".sg-pair");
    if (known) known.remove();
    if (!pictures) return;
    const pair = document.createElement("div");
    pair.className = "sg-pair";
    pair.textContent = "Point at a cell to see its two images.";
    plot.after(pair);
    const shown = (i, name) => {
      const image = Object.assign(document.createElement("img"), { src: pictures[i], alt: name });
      const span = document.createElement("span");
      span.append(image, name);
      return span;
    };
    plot.on("plotly_hover", ({ points: [{ pointNumber: [row, column], x, y }] }) => {
      const values = plot._fullData.map((trace) => `${trace.name}: ${trace.z[row][column].toFixed(2)}`);
      pair.replaceChildren(shown(row, y), shown(column, x));
      pair.append(values.join(" · ").replaceAll("-", "−"));
    });
  }

  /** Draws a figure from the data in the page, once. */
  async function draw(figure) {
    if (drawn.has(figure)) return;
    const plot = plotOf(figure);
    const width = figure.clientWidth;
    drawn.set(figure, { width });
    try {
      const spec = unpack(JSON.parse(figure.querySelector(".sg-data").textContent));
      drawn.set(figure, { spec, width });
      const layout = layoutOf(spec, width);
      await Plotly.newPlot(plot, { data: spec.data, layout, frames: spec.frames, config: CONFIG });
      plot.style.minHeight = `${layout.height}px`; // not that of the layout for another width
      linkCameras(plot);
      linkControls(plot);
      linkHover(plot);
      linkPictures(plot);
      figure.dataset.drawn = "true";
    } catch (error) {
      figure.dataset.drawn = "failed";
      plot.textContent = plot.getAttribute("aria-label");
      throw error;
    }
  }

  /** The state that a reader gave a figure is kept; only colours change. */
  function recolour() {
    for (const [figure, { spec }] of drawn) {
      const plot = plotOf(figure);
      if (!plot.data) continue;
      const template = themed((spec.layout || {}).template || {});
      Plotly.react(plot, plot.data, { ...plot.layout, template });
    }
  }

  /** New widths: wide figures stretch, narrow ones are laid out and drawn anew. */
  function rearrange() {
    for (const [figure, state] of drawn) {
      const width = figure.clientWidth;
      const plot = plotOf(figure);
      if (width === state.width || !width || !plot.data) continue;
      if (Math.min(width, state.width) >= NARROW) {
        state.width = width;
        Plotly.relayout(plot, { width });
      } else {
        Plotly.purge(plot);
        drawn.delete(figure);
        draw(figure);
      }
    }
  }

  /** Rows of a drawn trace: one for each point, or for each cell of a matrix. */
  function* rowsOf(trace) {
    const at = (array, i) => (array && array.length > i ? array[i] : "");
    if (trace.z && trace.z.length && (trace.z[0] ?? 0).length !== undefined) {
      for (let i = 0; i < trace.z.length; i++) {
        for (let j = 0; j < trace.z[i].length; j++) {
          if (trace.z[i][j] === null) continue;
          yield [at(trace.x, j) === "" ? j : trace.x[j], at(trace.y, i) === "" ? i : trace.y[i],
            trace.z[i][j], "", ""];
        }
      }
      return;
    }
    const count = Math.max(...[trace.x, trace.y, trace.z].map((a) => (a ? a.length : 0)));
    const error = trace.error_y && trace.error_y.visible ? trace.error_y : {};
    for (let i = 0; i < count; i++) {
      if (at(trace.x, i) === null) continue; // it stands in the legend alone
      yield [at(trace.x, i), at(trace.y, i), at(trace.z, i), at(error.arrayminus || error.array, i),
        at(error.array, i)];
    }
  }

  const cell = (value) => (/[",\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : value);

  function tableOf(figure) {
    const given = figure.querySelector(".sg-table");
    if (given) return JSON.parse(given.textContent);
    const rows = [["trace", "x", "y", "z", "error_minus", "error_plus"]];
    plotOf(figure)._fullData.forEach((trace, number) => {
      const name = trace.name || `trace ${number}`;
      for (const row of rowsOf(trace)) rows.push([name, ...row]);
    });
    return rows.map((row) => row.map(cell).join(",")).join("\n") + "\n";
  }

  async function download(figure) {
    await draw(figure);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([tableOf(figure)], { type: "text/csv" }));
    link.download = `${figure.id}.csv`;
    link.click();
    URL.revokeObjectURL(link.href);
  }

  function start() {
    const figures = [...document.querySelectorAll("figure.sg-figure")];
    if (!figures.length) return;
    const watch = new IntersectionObserver(
      (entries) => {
        for (const { isIntersecting, target } of entries) {
          if (!isIntersecting) continue;
          watch.unobserve(target);
          draw(target);
        }
      },
      { rootMargin: NEAR },
    );
    for (const figure of figures) {
      watch.observe(figure);
      figure.querySelector(".sg-csv").addEventListener("click", () => download(figure));
    }
    draw(figures[0]);
    new MutationObserver(recolour).observe(document.documentElement, {
      attributeFilter: ["data-theme"],
    });
    const sizes = new ResizeObserver(rearrange);
    for (const figure of figures) sizes.observe(figure);
  }

  // The page is parsed when a deferred script has run. Plotly is the first of them: the figure in
  // view is drawn before MathJax sets the formulas.
  const library = document.querySelector('script[src*="vendor/plotly"]');
  if (library) library.addEventListener("load", start);
})();
