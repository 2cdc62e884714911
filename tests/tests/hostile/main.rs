//! Modules that mean harm, each with its expected verdict, through the real `foil`. After each of them the stage looks
//! whether the host stayed up and whether anything is left: scratch folders, processes, effects.

mod answers;
mod checks;
mod exec;
mod files;
mod limits;
mod loading;
mod neighbours;
mod terminal;
