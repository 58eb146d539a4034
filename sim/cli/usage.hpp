#pragma once
// How the command line refuses what CLI11 cannot take: in the words of every other error of moesim, with the nearest
// name. Kept in one place, so that no command words its own.

#include <cstdint>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "models/units/error.hpp"

namespace moesim {

/// "--format: got 'tabel', expected one of table, json; did you mean table?"
CLI::Validator one_of(const std::vector<std::string>& names);

/// "--audit: got 'x', expected a whole number from 0 to 100": also for what a number type would wrap or cut.
CLI::Validator whole_number(std::int64_t least, std::int64_t most);

/// "--sigma: got 'nan', expected a number from 0 to 20".
CLI::Validator number(double least, double most);

/// An empty value of any option or argument, of all commands, is an error: "--out: got an empty text, expected a
/// value".
void refuse_empty_values(CLI::App& app);

/// Runs that cannot stand beside each other: "compare: got prefill (a) beside decode (b), expected one workload.phase".
InputError mixed_phases(const std::string& command, const std::string& prefill, const std::string& decode);

/// What to print when `error` ended the parsing: help for --help and --version is none of these (exit code 0), unless
/// it was asked of a command that nobody knows.
bool is_refusal(const CLI::App& app, const CLI::ParseError& error);

/// One line without the program's name: "run: got the unknown option --jsonn, expected one of `moesim run --help`; did
/// you mean --json?". An unknown option comes before what else is wrong, as it is often the cause.
std::string usage_message(const CLI::App& app, const CLI::ParseError& error);

}  // namespace moesim
