(() => {
  "use strict";
  const twins = JSON.parse(document.getElementById("limen-twins").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const touch = matchMedia("(pointer: coarse)");
  const PRINTED = { width: 660, height: 0.75 };

  const made = (tag, text, attributes = {}) => {
    const element = Object.assign(document.createElement(tag), attributes);
    element.textContent = text;
    return element;
  };
  const button = (text, act) => {
    const element = made("button", text, { type: "button" });
    element.addEventListener("click", act);
    return element;
  };

  // Figures come in the light colours; in the dark each colour gives way to its twin.
  const painted = (value) => {
    if (typeof value === "string") return twins[value] ?? value;
    if (Array.isArray(value)) return value.map(painted);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, painted(item)]));
  };
  const figures = [...document.querySelectorAll(".plot")].map((place) => ({
    place,
    source: place.nextElementSibling.textContent,
  }));
  const draw = (printing) => {
    for (const { place, source } of figures) {
      const light = JSON.parse(source);
      const { data, layout } = dark.matches && !printing ? painted(light) : light;
      layout.dragmode = touch.matches ? false : "zoom";
      layout.width = printing ? PRINTED.width : place.clientWidth;
      layout.height = Math.round(layout.height * (printing ? PRINTED.height : 1));
      place.style.height = `${layout.height}px`;
      Plotly.react(place, data, layout, {
        displaylogo: false,
        displayModeBar: "hover",
        modeBarButtons: [["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]],
        responsive: false,
      });
    }
  };
  if (figures.length) {
    draw(false);
    dark.addEventListener("change", () => draw(false));
    addEventListener("beforeprint", () => draw(true));
    addEventListener("afterprint", () => draw(false));
    let width = innerWidth;
    addEventListener("resize", () => {
      if (innerWidth === width) return;
      width = innerWidth;
      draw(false);
    });
  }

  // Tables: a button in each column's head sorts; what is absent stays last.
  const compared = (a, b) => {
    if (a.order !== undefined && b.order !== undefined) return a.order - b.order;
    return a.text.localeCompare(b.text, undefined, { numeric: true });
  };
  const cellOf = (row, column) => {
    const { dataset, textContent } = row.cells[column];
    const order = dataset.order === undefined ? undefined : Number(dataset.order);
    return { row, order, text: textContent, absent: textContent === "–" };
  };
  const sort = (table, column) => {
    const head = table.tHead.rows[0].cells[column];
    const way = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
    for (const other of table.tHead.rows[0].cells) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", way);
    const sign = way === "ascending" ? 1 : -1;
    const cells = [...table.tBodies[0].rows].map((row) => cellOf(row, column));
    cells.sort((a, b) => a.absent - b.absent || sign * compared(a, b));
    table.tBodies[0].append(...cells.map(({ row }) => row));
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    if (table.tBodies[0].rows.length < 2) continue;
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const name = head.textContent;
      head.textContent = "";
      head.setAttribute("aria-sort", "none");
      head.append(button(name, () => sort(table, column)));
    });
  }

  // Copying: each fact, and each table with its exact numbers.
  const copy = async (text, element) => {
    const before = element.textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const field = made("textarea", text);
      document.body.append(field);
      field.select();
      document.execCommand("copy");
      field.remove();
    }
    element.textContent = "copied";
    setTimeout(() => { element.textContent = before; }, 1200);
  };
  const tabbed = (table) =>
    [...table.rows]
      .map((row) => [...row.cells].map((cell) => cell.dataset.exact ?? cell.textContent).join("\t"))
      .join("\n");
  for (const value of document.querySelectorAll(".listing dd")) {
    const text = value.textContent;
    const name = value.previousElementSibling.textContent;
    const element = button("copy", () => copy(text, element));
    element.setAttribute("aria-label", `copy ${name}`);
    value.append(element);
  }
  for (const box of document.querySelectorAll(".scroll")) {
    const table = box.querySelector("table");
    const element = button("copy table", () => copy(tabbed(table), element));
    element.className = "copy-table";
    box.after(element);
  }

  document.getElementById("tools").append(
    button("Download data", () => {
      const text = document.getElementById("limen-data").textContent;
      const file = new Blob([text], { type: "application/json" });
      const name = document.title.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-");
      const link = made("a", "", { href: URL.createObjectURL(file), download: `${name}.json` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    }),
  );
})();
