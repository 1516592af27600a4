import { describe, expect, test } from "vitest";
import { cutCode, cutParagraphs, englishShare, isLicence, isUntranslated, MAX_CHARACTERS, normalised, readsAsText } from "./text.ts";

describe("paragraphs that a translation left in English", () => {
  test.each([
    ["de", "Wählen Sie im Menü „Datei“ den Eintrag „Speichern“.", false],
    ["de", "Select the file that you want to save in the menu.", true],
    ["de", "Das Programm „The Update Manager“ ist nicht installiert.", false],
    ["hu", "Flips the selected image vertically.", true],
    ["nl", "U kunt een of meer bestanden kiezen.", false],
    ["ja", "メニューからファイルを選びます。", false],
    ["ja", "Choose a file from the menu.", true],
    ["zh", "从菜单中选择 File > Save。", false],
    ["ru", "Выберите файл в меню.", false],
    ["ru", "apt-get install package", true],
    ["en", "Choose a file from the menu.", false],
  ])("%s: %s", (language, paragraph, expected) => expect(isUntranslated(paragraph, language)).toBe(expected));

  test("frequent words are a quarter of English text and hardly any of French", () => {
    expect(englishShare("The bridge is in the city, and the fog comes from the sea.")).toBeGreaterThan(0.25);
    expect(englishShare("Le pont est dans la ville, et le brouillard vient de la mer.")).toBe(0);
  });
});

test("licences are told from what speaks of them", () => {
  expect(isLicence("Permission is hereby granted, free of charge, to any person obtaining a copy")).toBe(true);
  expect(isLicence("Copyright (c) 2009 The Go Authors")).toBe(true);
  expect(isLicence("You need a fishing licence for this river.")).toBe(false);
});

test("tables, lost characters and rules of signs are no text", () => {
  expect(readsAsText("A sentence of ordinary words.")).toBe(true);
  expect(readsAsText("1.25 3.50 17 | 22 % 0.4 -- 12,000 x 14")).toBe(false);
  expect(readsAsText("What was \ufffd here?")).toBe(false);
  expect(readsAsText("Title ==================== text")).toBe(false);
});

test("documents are whole paragraphs; a long one is cut after a sentence, a short rest stays with what is before it", () => {
  const sentence = "The fog came in from the sea and hid the towers of the bridge. ";
  const long = sentence.repeat(150).trim();
  const texts = cutParagraphs([long, "The end."]);
  expect(texts.length).toBe(2);
  expect(texts[0]!.length).toBeLessThanOrEqual(MAX_CHARACTERS);
  expect(texts[0]!.endsWith(".")).toBe(true);
  expect(texts[1]!.endsWith("The end.")).toBe(true);
  expect(cutParagraphs(["Too short."])).toEqual([]);
});

test("a program is cut before definitions, without its licence and without tables of data", () => {
  const body = (name: string) => `def ${name}(x):\n${"    x = transform(x, with_care=True)\n".repeat(100)}    return x`;
  const texts = cutCode(`# Copyright (c) 2020 Somebody\n# Licensed under the MIT licence\n\n${body("first")}\n\n${body("second")}`);
  expect(texts.map((text) => text.slice(0, 10))).toEqual(["def first(", "def second"]);
  expect(cutCode(`table = [\n${"    0x1f, 0x2e, 0x3d, 0x4c,\n".repeat(40)}]`)).toEqual([]);
});

test("normalised text has no colours of a terminal, odd spaces or soft hyphens", () => {
  expect(normalised("\u001b[32m早寒\u001b[m\r\nCafe\u0301\u00a0au lait,\u00ad 2\u0007  \n\n\n\n[main]\n")).toBe(
    "早寒\nCafé au lait, 2\n\n[main]",
  );
});
