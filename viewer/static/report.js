"use strict";
// In a report: pointing at words of a thought lights their turn, and the other way round.
for (const desk of document.querySelectorAll(".desk")) {
  const turnsOf = (element) => (element.dataset.turns ?? element.dataset.turn ?? "").split(" ").filter(Boolean);
  const marked = [...desk.querySelectorAll("[data-turn], [data-turns]")];
  const light = (turns, pinned) => marked.forEach((one) => one.classList.toggle(pinned, turnsOf(one).some((turn) => turns.includes(turn))));
  const told = (event) => event.target.closest("[data-turn], [data-turns]");
  desk.addEventListener("mouseover", (event) => light(told(event) ? turnsOf(told(event)) : [], "lit"));
  desk.addEventListener("mouseleave", () => light([], "lit"));
  desk.addEventListener("click", (event) => {
    const turns = told(event) ? turnsOf(told(event)) : [];
    light(turns, "now");
    const place = turns.length && !event.target.closest(".turn") ? desk.querySelector(`.turn[data-turn="${Number(turns[0])}"]`) : null;
    if (place) place.scrollIntoView({ block: "nearest" });
  });
}
